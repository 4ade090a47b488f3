"""Ingest from the first look at the sources to the finished dataset folder."""

from collections.abc import Sequence
from math import isfinite

from colintern import storage
from colintern.config.schema import DatasetConfig
from colintern.data import hub
from colintern.data.asking import takes_questions
from colintern.data.canonical import INGEST_BEGUN
from colintern.data.importing import check_language
from colintern.data.judgements import read_judgements
from colintern.data.layouts import Layout, find_layout
from colintern.data.resolve import source_url
from colintern.errors import DatasetError
from colintern.ingestion.copying import ingest_dataset
from colintern.ingestion.dataset import is_dataset
from colintern.ingestion.documents import ingest_documents
from colintern.ingestion.findings import Report
from colintern.ingestion.new_questions import ingest_questions
from colintern.ingestion.page_names import PageNames
from colintern.ingestion.questions import read_questions
from colintern.ingestion.sources import Sources, find_sources
from colintern.ingestion.standing import Standing, read_standing
from colintern.ingestion.work import IngestSettings, Work
from colintern.records import lease
from colintern.records.lease_file import is_lease_file


def ingest(sources: Sequence[str], out: str, settings: IngestSettings | None = None) -> Report:
    """Make the canonical dataset folder `out` of PDFs, pictures, or one dataset of another layout.

    A folder that is there grows: pages of files that are as they were stay as they are, those of
    new files are added. What is new is built beside and put in at the end. What would lose pages or
    questions, or change them, is an error without `settings.replace`.

    Without sources the pages stay as they are, and nothing is looked at but `settings.queries`.

    Started again after a kill, it resumes: parts of the corpus that are written are kept. Only the
    copy of a dataset starts from the beginning.

    A script that calls this needs `if __name__ == "__main__":`, as processes that it starts import
    the script.

    Args:
        sources: files and folders, local or URLs; none to bring in questions about what is there.
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
    standing = read_standing(out)
    if not sources:
        _check_asked(standing, settings)
    layout = _layout_of(sources, settings) if sources else None
    is_listed = sources and layout is None
    found = find_sources(sources, standing.prefixes) if is_listed else Sources([], [], {})
    if settings.queries:
        # An unreadable queries file is an error before the work, not after it.
        read_questions(settings.queries, PageNames([]), settings.relevant_from)
    with lease.held(out, wait=False) as held:
        standing = read_standing(out)  # another ingest may have ended since
        if not sources:
            _check_asked(standing, settings)
            return ingest_questions(Work(standing, standing.sources, settings, held.check))
        if not settings.replace:
            _check_goes_on(standing, sources)
        work = Work(standing, sources, settings, held.check)
        if standing.is_first:
            storage.write_json(storage.join(out, INGEST_BEGUN), work.begun)
        return ingest_dataset(layout, work) if layout else ingest_documents(found, work)


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
    begun, now = ({storage.real(one) for one in given} for given in (standing.sources, sources))
    missing = begun - now
    if standing.report is None and missing and standing.corpus_files():
        raise DatasetError(
            f"--out {standing.folder}: holds an unfinished ingest of {min(missing)}, which would "
            "go; name its sources too, choose another --out, or give --replace"
        )


def _check_asked(standing: Standing, settings: IngestSettings) -> None:
    """Make sure that there are questions to bring in, and pages that they may be about.

    Raises:
        DatasetError: no, with the remedy.
    """
    out = standing.folder
    if settings.queries is None:
        raise DatasetError(
            f"--out {out}: no source is named; name PDFs, images or a dataset, or give --queries "
            "to bring questions into a dataset that is there"
        )
    if standing.report is None:
        raise DatasetError(
            f"--out {out}: is no dataset that an ingest has finished; name its sources"
        )
    if not takes_questions(standing.report):
        raise DatasetError(
            f"--out {out}: is a copy of another dataset, whose questions are its own; remove "
            "--queries, and name the source"
        )
