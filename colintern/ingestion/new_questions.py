"""What a queries file makes of the questions of a dataset of PDFs and pictures."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from colintern import log
from colintern.ingestion.asked import Asked, AskedChange, change_of, read_asked, write_change
from colintern.ingestion.findings import BadItem, Report
from colintern.ingestion.page_names import PageNames
from colintern.ingestion.part_file import WrittenPage, read_part
from colintern.ingestion.questions import read_questions
from colintern.ingestion.swap import Swap
from colintern.ingestion.work import Work


def ingest_questions(work: Work) -> Report:
    """Bring a queries file into a finished dataset, whose sources may be gone; pages stay.

    If it is killed while it replaces questions, an ingest with the sources finishes it.

    Raises:
        DatasetError: questions would be lost, or no row can be used.
    """
    standing = work.standing
    assert standing.report is not None
    report = Report.of(standing.report)
    pages = [page for path in standing.corpus_files() for page in read_part(path)[0]]
    names = PageNames(pages, _last_pages(pages, report.bad), report.bad, work.unnamed_folders)
    before = read_asked(standing.folder)
    change, bad_queries, num_asked = questions_now(before, pages, names, work)
    report = replace(
        report,
        bad_queries=bad_queries,
        asked=num_asked,
        queries=len(change.now.queries),
        judgements=len(change.now.judgements),
    )
    if report.says_as(standing.report) and not change.is_loss and change.added == Asked([], []):
        log.say("ingest", "nothing is new: %s is as it was", standing.folder)
        return report
    log.say("ingest", "new: %s questions; all pages stay", f"{len(change.added.queries):,}")
    Swap(
        folder=standing.folder,
        begun={"sources": list(standing.sources), "prefixes": dict(standing.prefixes)},
        report=report.document(),
        new=[],
        old=[],
        write_questions=partial(write_change, standing.folder, change),
        replaces=change.is_loss,
        check=work.check,
    ).do()
    return report


def _last_pages(pages: Sequence[WrittenPage], bad: Sequence[BadItem]) -> dict[str, int]:
    """The number of the last page of each file, as far as the dataset knows."""
    numbers = [(page.doc_id, page.number) for page in pages]
    numbers += [(item.name, item.page) for item in bad if item.page]
    last: dict[str, int] = {}
    for name, number in numbers:
        last[name] = max(number, last.get(name, 0))
    return last


def questions_now(
    before: Asked, pages: Sequence[WrittenPage], names: PageNames, work: Work
) -> tuple[AskedChange, list[BadItem], int]:
    """What becomes of the questions, the rows that are not used, and how many rows there are.

    Without a queries file those that are there stay.

    Raises:
        DatasetError: questions would be lost, or no row can be used.
    """
    settings, report = work.settings, work.standing.report or {}
    if settings.queries is None:
        bad = [BadItem(**item) for item in report.get("refused_queries", [])]
        change = change_of(before, before.on({page.page_id for page in pages}))
        return change, bad, report.get("asked", 0)
    found = read_questions(settings.queries, names, settings.relevant_from)
    if pages:  # that there is none is told otherwise
        found.check_usable(settings.queries)
    change = change_of(before, Asked(found.queries, found.judgements).called_as(before))
    lost, bad = change.told_loss(), found.bad
    refused = f", or in rows that are bad ({bad[0].line()})" if bad else ""
    work.refuse(lost and f"{lost} would go, as {settings.queries} does not have them{refused}")
    return change, bad, found.num_rows
