"""Ingest from the first look at the sources to the finished dataset folder."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import isfinite

from colintern import log, storage
from colintern.config.schema import DatasetConfig
from colintern.data import hub
from colintern.data.canonical import DATASET_DONE, INGEST_BEGUN
from colintern.data.entities import Page
from colintern.data.importing import check_language
from colintern.data.judgements import read_judgements
from colintern.data.layouts import Layout, find_layout
from colintern.data.page_counter import PageCounter
from colintern.data.resolve import source_url
from colintern.data.writing import unchecked, write_questions
from colintern.errors import DatasetError, TooManyBadPagesError
from colintern.images.decode import BadImageError
from colintern.ingestion.dataset import copy_dataset, is_dataset
from colintern.ingestion.drawn import RenderSettings
from colintern.ingestion.findings import BadItem, Report, equal_pages
from colintern.ingestion.parts import (
    Part,
    WrittenPage,
    pages_of,
    plan_parts,
    read_part,
    save_part,
    single_pages,
    write_part,
)
from colintern.ingestion.pool import (
    SECONDS_PER_PAGE,
    SECONDS_PER_PART,
    CrashedError,
    Processes,
)
from colintern.ingestion.questions import read_questions
from colintern.ingestion.rendering import Contents, contents_of
from colintern.ingestion.sources import SourceFile, Sources, count_by_kind, find_sources
from colintern.records import lease
from colintern.records.lease_file import is_lease_file


@dataclass(frozen=True)
class IngestSettings:
    """How to ingest.

    Attributes:
        render: what pages look like.
        queries: a queries file; None writes a dataset to search in, without questions.
        split: of a dataset that holds several.
        language: only the queries of this language, of a dataset.
        num_processes: that render; one PDFium each.
        max_bad_fraction: stop with an error when a larger share is bad.
        config: of a dataset that has several configurations.
        relevant_from: from which score on a page is relevant; None takes whole numbers as they are.
    """

    render: RenderSettings = field(default_factory=RenderSettings)
    queries: str | None = None
    split: str | None = None
    language: str | None = None
    num_processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    max_bad_fraction: float = 1.0
    config: str | None = None
    relevant_from: float | None = None


def ingest(sources: Sequence[str], out: str, settings: IngestSettings | None = None) -> Report:
    """Make the canonical dataset folder `out` of PDFs, pictures, or one dataset of another layout.

    Started again after a kill, it resumes: parts of the corpus that are written are kept. Only the
    copy of a dataset starts from the beginning.

    A script that calls this needs `if __name__ == "__main__":`, as processes that it starts import
    the script.

    Args:
        sources: files and folders, local or URLs.
        out: a new folder, or that of an earlier ingest; nothing is written elsewhere.
        settings: how; None takes the default settings.

    Returns:
        The report, which also stands in `out`.

    Raises:
        DatasetError: a source is missing, `out` holds something else, or the queries file is bad.
        TooManyBadPagesError: more than `max_bad_fraction` is bad, or no page was written.
        LeaseLostError: another ingest into `out` has taken over meanwhile.
    """
    settings = settings or IngestSettings()
    out = storage.absolute(out)
    _check_out(out, sources)
    if settings.relevant_from is not None and not isfinite(settings.relevant_from):
        raise DatasetError(f"--relevant-from {settings.relevant_from}: is not a finite number")
    found = _layout_of(sources, settings) or find_sources(sources)
    if settings.queries:
        # An unreadable queries file is an error before the work, not after it.
        read_questions(settings.queries, [], settings.relevant_from)
    with lease.held(out, wait=False) as held:
        storage.write_json(storage.join(out, INGEST_BEGUN), {"sources": list(sources)})
        storage.delete(storage.join(out, DATASET_DONE))
        if isinstance(found, Sources):
            report = _from_files(found, out, settings, held)
        else:
            report = _from_dataset(sources[0], found, out, settings, held)
        held.check()
        storage.write_json(storage.join(out, DATASET_DONE), report.document())
    _check_bad_fraction(report, settings.max_bad_fraction)
    return report


def _from_files(found: Sources, out: str, settings: IngestSettings, held: lease.Held) -> Report:
    bad = list(found.bad)
    corpus = storage.join(out, "corpus")
    with Processes(settings.num_processes) as processes:
        counted, damaged = _counted(found.files, processes)
        bad += damaged
        parts = plan_parts(counted, corpus, settings.render)
        _write(parts, corpus, processes, held.check)

    pages: list[WrittenPage] = []
    for part in parts:
        entries, without = read_part(part.path)
        pages += entries
        bad += without
    queries, judgements, bad_queries = [], [], []
    if settings.queries:
        queries, judgements, bad_queries = read_questions(
            settings.queries, pages, settings.relevant_from
        )
    held.check()
    write_questions(out, queries, judgements)
    return Report(
        pages=len(pages),
        documents=len({page.doc_id for page in pages}),
        bad=sorted(bad, key=lambda item: (item.name, item.page or 0)),
        bad_queries=bad_queries,
        skipped=found.skipped,
        duplicates=equal_pages((page.page_id, page.picture) for page in pages),
        queries=len(queries),
        judgements=len(judgements),
        settings=asdict(settings.render),
    )


def _from_dataset(
    source: str, layout: Layout, out: str, settings: IngestSettings, held: lease.Held
) -> Report:
    taken = {file for files in layout.parts.values() for file in files}
    root = storage.absolute(source)
    others = [file.removeprefix(root) for file in storage.find_files(root) if file not in taken]
    with Processes(settings.num_processes) as processes:
        report = copy_dataset(
            layout,
            out,
            settings.language,
            processes,
            held.check,
            relevant_from=settings.relevant_from,
        )
    return replace(report, skipped=count_by_kind(others))


def _layout_of(sources: Sequence[str], settings: IngestSettings) -> Layout | None:
    """The layout of the dataset that is to be ingested; None for PDFs and pictures.

    Raises:
        DatasetError: a dataset among several sources; settings that have no effect; a split,
            configuration or language that the dataset does not have; or an unreadable judgement.
    """
    for source in sources:
        if hub.is_url(source):
            hub.check_commit(hub.pinned_url(source, None))
        elif not storage.exists(storage.absolute(source)):
            raise DatasetError(
                f"{source}: no such file or folder; "
                "a dataset on the Hub is hf://datasets/OWNER/NAME@COMMIT"
            )
    datasets = [source for source in sources if is_dataset(source)]
    if not datasets:
        if settings.split or settings.language or settings.config:
            raise DatasetError(
                f"{sources[0]}: is not a dataset; remove --split, --config and --language"
            )
        if settings.relevant_from is not None and not settings.queries:
            raise DatasetError(f"{sources[0]}: has no scores; remove --relevant-from")
        return None
    source = datasets[0]
    if len(sources) > 1:
        raise DatasetError(
            f"{source}: is itself a dataset; ingest it separately, with another --out"
        )
    if settings.queries:
        raise DatasetError(f"{source}: is a dataset and has queries already; remove --queries")
    url = source_url(DatasetConfig(path=source, name="source"))
    layout = find_layout(url, settings.split, config=settings.config)
    if layout.kind != "rows":
        read_judgements(layout.parts["qrels"], settings.relevant_from)  # bad ones end it early
    elif settings.relevant_from is not None:
        raise DatasetError(f"{source}: its rows have no scores; remove --relevant-from")
    check_language(layout, settings.language)
    return layout


def _counted(
    files: Sequence[SourceFile], processes: Processes
) -> tuple[list[tuple[SourceFile, int]], list[BadItem]]:
    """Every file with its number of pages, in order; worker processes open those to be counted."""
    counts = {file: 1 for file in files if not file.may_have_pages}
    bad = []
    many = [file for file in files if file.may_have_pages]
    for file, found in processes.each(_contents, many, SECONDS_PER_PART):
        if isinstance(found, Contents):
            counts[file] = found.num_pages
            bad += [BadItem(file.name, None, text, is_warning=True) for text in found.warnings]
        else:
            bad.append(BadItem(file.name, None, str(found)))
    return [(file, counts[file]) for file in files if file in counts], bad


def _contents(file: SourceFile) -> Contents | str:
    try:
        return contents_of(file)
    except BadImageError as error:
        return str(error)


def _write(
    parts: Sequence[Part],
    corpus: str,
    processes: Processes,
    check: Callable[[], None] = unchecked,
) -> None:
    """Write the missing parts, and remove those of an earlier state of the sources.

    `check` as in `save_part`; it is sent to other processes.
    """
    there = set(storage.list_files(corpus, ".parquet"))
    missing = [part for part in parts if part.path not in there]
    total = sum(part.num_pages for part in missing)
    kept = sum(part.num_pages for part in parts) - total
    if kept:
        log.say("ingest", "%s pages are there already", f"{kept:,}")
    progress = PageCounter("ingest", "pages", total)
    crashed: list[Part] = []
    write = partial(write_part, check=check)
    for part, found in processes.each(write, missing, SECONDS_PER_PART):
        if isinstance(found, CrashedError):
            crashed.append(part)
        else:
            progress.add(part.num_pages)
    for part in crashed:
        log.say("ingest", "%s: again, page by page", part.pieces[0].file.name)
        _write_page_by_page(part, processes, check)
    storage.remove_abandoned(corpus)  # files that crashed workers left half written
    check()
    for path in there - {part.path for part in parts}:
        storage.delete(path)


def _write_page_by_page(part: Part, processes: Processes, check: Callable[[], None]) -> None:
    """Write a part with a page that kills its process: page by page, to find that one."""
    singles = single_pages(part)
    write = partial(write_part, check=check)
    crashed = {
        single.path: str(found)
        for single, found in processes.each(write, singles, SECONDS_PER_PAGE)
        if isinstance(found, CrashedError)
    }

    def found() -> Iterator[Page | BadItem]:
        for single in singles:
            if single.path not in crashed:
                yield from pages_of(single.path)
                continue
            piece = single.pieces[0]
            number = piece.last if piece.file.may_have_pages else None
            yield BadItem(piece.file.name, number, crashed[single.path])

    save_part(part, found(), check)
    for single in singles:
        storage.delete(single.path)


def _check_out(out: str, sources: Sequence[str]) -> None:
    """Make sure that `out` is new or ours and apart from the sources, and no source comes twice."""
    out = storage.real(out)
    real = [storage.real(source) for source in sources]
    for source in real:
        if real.count(source) > 1:
            raise DatasetError(f"{source}: is given twice; name every source once")
        if f"{out}/".startswith(f"{source}/") or f"{source}/".startswith(f"{out}/"):
            raise DatasetError(f"--out {out}: must not be in the source {source}, nor hold it")
    is_ours = storage.exists(storage.join(out, INGEST_BEGUN))
    files = [file for file in storage.list_files(out) if not is_lease_file(file)]
    if not is_ours and (files or storage.list_folders(out)):
        raise DatasetError(
            f"--out {out}: is not empty and not from an earlier ingest; choose a new folder"
        )


def _check_bad_fraction(report: Report, limit: float) -> None:
    if report.pages == 0:
        reason = report.bad[0].line() if report.bad else "the sources are empty"
        raise TooManyBadPagesError(f"no page could be written; the first reason: {reason}")
    if report.bad_fraction > limit:
        raise TooManyBadPagesError(
            f"{report.bad_fraction:.1%} of the pages are bad, more than "
            f"--max-bad-fraction={limit} allows; dataset.json lists them with their reasons"
        )
