"""PDFs and pictures as sources: pages of new files are drawn, and added to those that are there."""

import posixpath
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from colintern import log, storage
from colintern.data.canonical import DATASET_DONE
from colintern.data.writing import write_questions
from colintern.ingestion.asked import Asked, AskedChange, read_asked, write_change
from colintern.ingestion.drawing import counted_files, write_parts
from colintern.ingestion.findings import BadItem, Report, equal_pages
from colintern.ingestion.new_questions import questions_now
from colintern.ingestion.page_names import PageNames
from colintern.ingestion.part_file import WrittenPage, read_part
from colintern.ingestion.parts import Part, plan_parts
from colintern.ingestion.pool import Processes
from colintern.ingestion.questions import read_questions
from colintern.ingestion.sources import Sources
from colintern.ingestion.standing import Counted, Sorted, sort_parts, still_bad, told_loss
from colintern.ingestion.swap import Swap, beside
from colintern.ingestion.work import Work


def ingest_documents(found: Sources, work: Work) -> Report:
    """Bring a dataset up to date with PDFs and pictures.

    Raises:
        DatasetError: something would be lost.
        TooManyBadPagesError: see `Work.check_bad`.
    """
    standing, settings, render = work.standing, work.settings, work.settings.render
    corpus = storage.join(work.build, "corpus")
    before = Asked() if standing.is_first else read_asked(standing.folder)
    with Processes(settings.num_processes) as processes:
        counted, damaged = counted_files(found.files, processes)
        stays = Sorted()
        if not standing.is_first:
            stays = sort_parts(standing, counted, render, renew=settings.replace)
            _check_loss(stays, before, work)
        _check_questions(counted, [*found.bad, *damaged], work)
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
    names = PageNames(pages, _num_pages(counted), bad, work.unnamed_folders)
    change, bad_queries, num_asked = questions_now(before, pages, names, work)
    looked_at = [page for page in pages if page.is_of_pdf and page.has_text is not None]
    report = Report(
        pages=len(pages),
        documents=len({page.doc_id for page in pages}),
        bad=sorted(bad, key=lambda item: (item.name, item.page or 0)),
        bad_queries=bad_queries,
        asked=num_asked,
        skipped=found.skipped,
        duplicates=equal_pages((page.page_id, page.picture) for page in pages),
        queries=len(change.now.queries),
        judgements=len(change.now.judgements),
        settings=asdict(render),
        pages_of_pdfs=len(looked_at),
        without_text=sum(not page.has_text for page in looked_at),
    )
    if standing.is_first:
        _finish_first(change, report, work)
    else:
        work.check_bad(report)
        _put_in(parts, stays, change, report, work)
    return report


def _finish_first(change: AskedChange, report: Report, work: Work) -> None:
    """Write what comes last in a new dataset; it is finished even if too much is bad."""
    work.check()
    write_questions(work.standing.folder, change.now.queries, change.now.judgements)
    work.check()
    storage.write_json(storage.join(work.build, DATASET_DONE), report.document())
    work.check_bad(report)


def _check_loss(stays: Sorted, before: Asked, work: Work) -> None:
    gone = {page.page_id for page in stays.gone}
    left = {found.query_id for found in before.judgements if found.page_id not in gone}
    lost = {found.query_id for found in before.judgements} - left
    work.refuse(told_loss(stays, len(lost)))
    num_old = sum(not part.origin.is_by_present_rules for part in stays.kept)
    if num_old:
        log.say(
            "ingest",
            "%d parts were drawn by rules of an earlier version, or without the text layers of "
            "their pages; --replace draws them again",
            num_old,
        )


def _num_pages(counted: Counted) -> dict[str, int]:
    return {file.name: num_pages for file, num_pages in counted}


def _check_questions(counted: Counted, bad: Sequence[BadItem], work: Work) -> None:
    """Make sure that there will be a usable question, before hours of drawing.

    Raises:
        DatasetError: there would be none even if no page were bad.
    """
    settings = work.settings
    if settings.queries is None or not counted:
        return
    pages = [
        WrittenPage(file.page_id(number, num_pages), file.name, number, "")
        for file, num_pages in counted
        for number in range(1, num_pages + 1)
    ]
    names = PageNames(pages, bad=bad, folders=work.unnamed_folders)
    read_questions(settings.queries, names, settings.relevant_from).check_usable(settings.queries)


def _put_in(
    parts: Sequence[Part], stays: Sorted, change: AskedChange, report: Report, work: Work
) -> None:
    """Put in what was built beside, if there is anything new."""
    out = work.standing.folder
    is_same = not (parts or stays.dropped or change.is_loss) and change.added == Asked([], [])
    if is_same and work.standing.report is not None and report.says_as(work.standing.report):
        log.say("ingest", "nothing is new: %s is as it was", out)
        storage.delete_folder(beside(out))
        return
    num_there = sum(len(part.pages) for part in stays.kept)
    log.say(
        "ingest",
        "new: %s pages, %s questions; %s pages stay as they were",
        f"{report.pages - num_there:,}",
        f"{len(change.added.queries):,}",
        f"{num_there:,}",
    )
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
