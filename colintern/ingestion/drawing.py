"""Files become parts of a corpus, in worker processes: a bad page costs that page."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from colintern import log, storage
from colintern.data.entities import Page
from colintern.data.writing import unchecked
from colintern.images.decode import BadImageError
from colintern.ingestion.findings import BadItem
from colintern.ingestion.part_file import origin_of_pages, pages_of, save_part, write_part
from colintern.ingestion.parts import Part, single_pages
from colintern.ingestion.pool import (
    SECONDS_PER_PAGE,
    SECONDS_PER_PART,
    CrashedError,
    Processes,
)
from colintern.ingestion.rendering import Contents, contents_of
from colintern.ingestion.sources import SourceFile


def counted_files(
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


def write_parts(
    parts: Sequence[Part],
    corpus: str,
    processes: Processes,
    check: Callable[[], None] = unchecked,
) -> None:
    """Write the missing parts, and remove those of an earlier plan from their folder.

    `check` as in `save_part`; it is sent to other processes.
    """
    there = set(storage.list_files(corpus, ".parquet"))
    missing = [part for part in parts if part.path not in there]
    total = sum(part.num_pages for part in missing)
    kept = sum(part.num_pages for part in parts) - total
    if kept:
        log.say("ingest", "%s pages are there already", f"{kept:,}")
    crashed: list[Part] = []
    write = partial(write_part, check=check)
    with log.Progress("ingest", "drawing", "pages", total) as progress:
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

    drawn = [single.path for single in singles if single.path not in crashed]
    save_part(part, found(), origin_of_pages(part, drawn), check)
    for single in singles:
        storage.delete(single.path)
