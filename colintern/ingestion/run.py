"""Ingest from the first look at the sources to the finished dataset folder."""

import os
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import isfinite
from typing import Any

from colintern import log, storage
from colintern.config.schema import DatasetConfig
from colintern.data import hub
from colintern.data.canonical import DATASET_DONE, INGEST_BEGUN
from colintern.data.importing import check_language
from colintern.data.judgements import read_judgements
from colintern.data.layouts import Layout, find_layout
from colintern.data.resolve import source_url
from colintern.data.writing import write_questions
from colintern.errors import DatasetError, TooManyBadPagesError
from colintern.ingestion.asked import Asked, AskedChange, change_of, read_asked, write_change
from colintern.ingestion.dataset import copy_dataset, is_dataset, is_same_dataset, told_copy_loss
from colintern.ingestion.drawing import counted_files, write_parts
from colintern.ingestion.drawn import RenderSettings
from colintern.ingestion.findings import BadItem, Report, equal_pages
from colintern.ingestion.parts import Part, WrittenPage, plan_parts, read_part
from colintern.ingestion.pool import Processes
from colintern.ingestion.questions import read_questions
from colintern.ingestion.sources import Sources, count_by_kind, find_sources, prefixes_of
from colintern.ingestion.standing import (
    Sorted,
    Standing,
    read_standing,
    sort_parts,
    still_bad,
    told_loss,
)
from colintern.ingestion.swap import Swap, beside, files_of
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
        replace: pages and questions that are in the dataset already may go.
    """

    render: RenderSettings = field(default_factory=RenderSettings)
    queries: str | None = None
    split: str | None = None
    language: str | None = None
    num_processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    max_bad_fraction: float = 1.0
    config: str | None = None
    relevant_from: float | None = None
    replace: bool = False


def ingest(sources: Sequence[str], out: str, settings: IngestSettings | None = None) -> Report:
    """Make the canonical dataset folder `out` of PDFs, pictures, or one dataset of another layout.

    A folder that is there grows: pages of files that are as they were stay as they are, those of
    new files are added. What is new is built beside and put in at the end. What would lose pages or
    questions, or change them, is an error without `settings.replace`.

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
        DatasetError: a source is missing, `out` holds something else or would lose something, or
            the queries file is bad.
        TooManyBadPagesError: more than `max_bad_fraction` is bad, or no page was written.
        LeaseLostError: another ingest into `out` has taken over meanwhile.
    """
    settings = settings or IngestSettings()
    out = storage.absolute(out)
    _check_out(out, sources)
    if settings.relevant_from is not None and not isfinite(settings.relevant_from):
        raise DatasetError(f"--relevant-from {settings.relevant_from}: is not a finite number")
    layout = _layout_of(sources, settings)
    standing = read_standing(out)
    found = None if layout else find_sources(sources, standing.prefixes)
    if settings.queries:
        # An unreadable queries file is an error before the work, not after it.
        read_questions(settings.queries, [], settings.relevant_from)
    with lease.held(out, wait=False) as held:
        standing = read_standing(out)  # another ingest may have ended since
        if not settings.replace:
            _check_goes_on(standing, sources)
        work = _Work(standing, sources, settings, held.check)
        if standing.is_first:
            storage.write_json(storage.join(out, INGEST_BEGUN), work.begun)
        return _from_dataset(layout, work) if layout else _from_files(found or _NOTHING, work)


_NOTHING = Sources([], [], {})


@dataclass(frozen=True)
class _Work:
    """One ingest: what is there, of what it is made, how, and the check before anything is written.

    What is made for a dataset that was finished before is built beside it.
    """

    standing: Standing
    sources: Sequence[str]
    settings: IngestSettings
    check: Callable[[], None]

    @property
    def begun(self) -> dict[str, Any]:
        """The content of `ingest.json`."""
        prefixes = {**prefixes_of(self.sources), **self.standing.prefixes}
        return {"sources": list(self.sources), "prefixes": prefixes}

    @property
    def build(self) -> str:
        """The folder in which new files are written."""
        out = self.standing.folder
        return out if self.standing.is_first else beside(out)

    def refuse(self, lost: str | None) -> None:
        """Make sure that nothing is lost that the user wants to keep.

        Raises:
            DatasetError: something would be.
        """
        if lost and self.standing.report is not None and not self.settings.replace:
            raise DatasetError(
                f"--out {self.standing.folder}: {lost}; name all sources as they were, choose "
                "another --out, or give --replace"
            )

    def check_bad(self, report: Report) -> None:
        """Make sure that not too much is bad; a report that says so stands beside the new pages.

        Raises:
            TooManyBadPagesError: no page could be written, or too few; a dataset that was there
                stays as it is.
        """
        path = storage.join(self.build, DATASET_DONE)
        try:
            _check_bad_fraction(report, self.settings.max_bad_fraction, path)
        except TooManyBadPagesError:
            self.check()
            storage.write_json(path, report.document())
            raise


def _from_files(found: Sources, work: _Work) -> Report:
    standing, settings, render = work.standing, work.settings, work.settings.render
    corpus = storage.join(work.build, "corpus")
    before = Asked() if standing.is_first else read_asked(standing.folder)
    with Processes(settings.num_processes) as processes:
        counted, damaged = counted_files(found.files, processes)
        stays = Sorted()
        if not standing.is_first:
            stays = sort_parts(standing, counted, render, renew=settings.replace)
            _check_loss(stays, before, work)
        there, first = stays.there(counted), stays.next_number()
        parts = plan_parts(counted, corpus, render, there=there, first_number=first)
        write_parts(parts, corpus, processes, work.check)
    bad = [
        *found.bad,
        *damaged,
        *(item for part in stays.kept for item in still_bad(part, counted)),
    ]
    pages = [page for part in stays.kept for page in part.pages]
    for part in parts:
        entries, without = read_part(part.path)
        pages += entries
        bad += without
    change, bad_queries = _questions(before, pages, work)
    report = Report(
        pages=len(pages),
        documents=len({page.doc_id for page in pages}),
        bad=sorted(bad, key=lambda item: (item.name, item.page or 0)),
        bad_queries=bad_queries,
        skipped=found.skipped,
        duplicates=equal_pages((page.page_id, page.picture) for page in pages),
        queries=len(change.now.queries),
        judgements=len(change.now.judgements),
        settings=asdict(render),
    )
    if standing.is_first:
        _finish_first(change, report, work)
    else:
        work.check_bad(report)
        _put_in(parts, stays, change, report, work)
    return report


def _finish_first(change: AskedChange, report: Report, work: _Work) -> None:
    """Write what comes last in a new dataset; it is finished even if too much is bad."""
    work.check()
    write_questions(work.standing.folder, change.now.queries, change.now.judgements)
    work.check()
    storage.write_json(storage.join(work.build, DATASET_DONE), report.document())
    work.check_bad(report)


def _check_loss(stays: Sorted, before: Asked, work: _Work) -> None:
    gone = {page.page_id for page in stays.gone}
    left = {found.query_id for found in before.judgements if found.page_id not in gone}
    lost = {found.query_id for found in before.judgements} - left
    work.refuse(told_loss(stays, len(lost)))
    num_old = sum(not part.origin.is_by_present_rules for part in stays.kept)
    if num_old:
        log.say(
            "ingest",
            "%d parts were drawn by rules of an earlier version; --replace draws them again",
            num_old,
        )


def _questions(
    before: Asked, pages: Sequence[WrittenPage], work: _Work
) -> tuple[AskedChange, list[BadItem]]:
    """What becomes of the questions: without a queries file those that are there stay."""
    settings, report = work.settings, work.standing.report or {}
    if settings.queries is None:
        bad = [BadItem(**item) for item in report.get("refused_queries", [])]
        return change_of(before, before.on({page.page_id for page in pages})), bad
    queries, judgements, bad = read_questions(settings.queries, pages, settings.relevant_from)
    change = change_of(before, Asked(queries, judgements).called_as(before))
    lost = change.told_loss()
    work.refuse(lost and f"{lost} would go, as {settings.queries} does not have them")
    return change, bad


def _put_in(
    parts: Sequence[Part], stays: Sorted, change: AskedChange, report: Report, work: _Work
) -> None:
    """Put in what was built beside, if there is anything new."""
    out = work.standing.folder
    is_same = not (parts or stays.dropped or change.is_loss) and change.added == Asked([], [])
    if is_same and work.standing.report == report.document():
        log.say("ingest", "nothing is new: %s is as it was", out)
        storage.delete_folder(beside(out))
        return
    if not stays.dropped:
        told = "%s pages are added to the %s that were there"
        num_there = sum(len(part.pages) for part in stays.kept)
        log.say("ingest", told, f"{report.pages - num_there:,}", f"{num_there:,}")
    Swap(
        folder=out,
        begun=work.begun,
        report=report.document(),
        new=[storage.join("corpus", posixpath.basename(part.path)) for part in parts],
        old=stays.dropped,
        write_questions=partial(write_change, out, change),
        replaces=bool(stays.dropped) or change.is_loss,
        check=work.check,
    ).do()


def _from_dataset(layout: Layout, work: _Work) -> Report:
    source, standing, settings = work.sources[0], work.standing, work.settings
    taken = {file for files in layout.parts.values() for file in files}
    root = storage.absolute(source)
    others = [file.removeprefix(root) for file in storage.find_files(root) if file not in taken]
    with Processes(settings.num_processes) as processes:
        report = copy_dataset(
            layout,
            work.build,
            settings.language,
            processes,
            work.check,
            relevant_from=settings.relevant_from,
        )
    report = replace(report, skipped=count_by_kind(others))
    out = standing.folder
    if standing.is_first:
        work.check()
        storage.write_json(storage.join(out, DATASET_DONE), report.document())
    work.check_bad(report)
    if standing.is_first:
        return report
    if standing.report is not None:
        work.refuse(told_copy_loss(out, work.build))
        if is_same_dataset(out, work.build):
            log.say("ingest", "nothing is new: %s is as it was", out)
            storage.delete_folder(work.build)
            return report
    new = files_of(work.build)
    old = [storage.join(out, name) for name in files_of(out) if name not in new]
    Swap(out, work.begun, report.document(), new, old, None, replaces=True, check=work.check).do()
    return report


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


def _check_goes_on(standing: Standing, sources: Sequence[str]) -> None:
    """Make sure that an unfinished ingest is not given up for another one without a word.

    Raises:
        DatasetError: a source of it is not among the sources now, and parts of it are written.
    """
    missing = standing.begun_sources - {storage.real(source) for source in sources}
    if standing.report is None and missing and standing.corpus_files():
        raise DatasetError(
            f"--out {standing.folder}: holds an unfinished ingest of {min(missing)}, which would "
            "go; name its sources too, choose another --out, or give --replace"
        )


def _check_bad_fraction(report: Report, limit: float, path: str) -> None:
    if report.pages == 0:
        reason = report.bad[0].line() if report.bad else "the sources are empty"
        raise TooManyBadPagesError(f"no page could be written; the first reason: {reason}")
    if report.bad_fraction > limit:
        raise TooManyBadPagesError(
            f"{report.bad_fraction:.1%} of the pages are bad, more than "
            f"--max-bad-fraction={limit} allows; {path} lists them with their reasons"
        )
