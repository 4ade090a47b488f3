"""Which page a row of a queries file names; or why it names none, and what may be meant."""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from colintern.data.text import same_name
from colintern.ingestion.alike import AlikeNames, told_alike
from colintern.ingestion.findings import BadItem
from colintern.ingestion.part_file import WrittenPage


class BadRowError(Exception):
    """A row of a queries file cannot be used; the message says why, and what to do."""


class PageNames:
    """Pages by name, also if a system wrote `ü` as two characters and another as one."""

    def __init__(
        self,
        pages: Sequence[WrittenPage],
        num_pages: Mapping[str, int] | None = None,
        bad: Iterable[BadItem] = (),
        folders: Sequence[str] = (),
    ) -> None:
        """Take the names of pages.

        Args:
            pages: that are in the dataset.
            num_pages: of each file, bad ones included; None counts up to the last of `pages`.
            bad: pages and files that are not in the dataset.
            folders: that may stand before the name of a file, although its page does not have them.
        """
        self._pages = {(page.doc_id, page.number): page.page_id for page in pages}
        self._num_pages: dict[str, int] = {}
        for page in pages:
            self._num_pages[page.doc_id] = max(page.number, self._num_pages.get(page.doc_id, 0))
        self._num_pages |= num_pages or {}
        self._refused = {(item.name, item.page): item.reason for item in bad if not item.is_warning}
        files = {*self._num_pages, *(name for name, _ in self._refused)}
        self._files = _Known(files, folders)
        self._ids = _Known(self._pages.values())
        self._alike = AlikeNames(files)

    def find(self, row: Mapping[str, Any]) -> str:
        """The id of the page that a row names, by `id` or by `file` and `page`.

        Raises:
            BadRowError: it names none.
        """
        if row.get("id"):
            return self._by_id(str(row["id"]))
        if not row.get("file"):
            raise BadRowError("it names no page")
        called = str(row["file"])
        if (file := self._files.find(called)) is None:
            alike = told_alike(self._alike.of(called))
            raise BadRowError(f"its file is not in the dataset: {called}{alike}")
        return self._page_of(file, row.get("page"))

    def _by_id(self, called: str) -> str:
        if (page_id := self._ids.find(called)) is not None:
            return page_id
        name, _, number = called.rpartition("#")
        name, number = (name, number) if name and number.isdecimal() else (called, "")
        if (file := self._files.find(name)) is not None:
            meant = [self._page_of(file, number)]  # or it is told why there is none
        else:
            meant = [f"{near}#{number}" if number else near for near in self._alike.of(name)]
        raise BadRowError(f"its page is not in the dataset: {called}{told_alike(meant)}")

    def _page_of(self, file: str, page: Any) -> str:
        """The id of a page of a file that is known, perhaps as a bad one."""
        if file not in self._num_pages:
            raise BadRowError(f"{file} was refused: {self._refused[file, None]}")
        number = _checked_number(page, file, self._num_pages[file])
        if found := self._pages.get((file, number)):
            return found
        if reason := self._refused.get((file, number)):
            raise BadRowError(f"page {number} of {file} was refused: {reason}")
        reason = self._refused.get((file, None), "it could not be drawn")
        raise BadRowError(f"{file} was refused: {reason}")


class _Known:
    """Names, and what is meant by one that is the same but for how a system writes it."""

    def __init__(self, names: Iterable[str], folders: Sequence[str] = ()) -> None:
        self._exact = set(names)
        self._similar: dict[str, set[str]] = {}
        for name in self._exact:
            for called in (name, *(posixpath.join(folder, name) for folder in folders)):
                self._similar.setdefault(same_name(called), set()).add(name)

    def find(self, called: str) -> str | None:
        """The name that is meant; None if there is none, or more than one."""
        if called in self._exact:
            return called
        name = same_name(called)
        similar = self._similar.get(name) or self._similar.get(name.strip(), set())
        return next(iter(similar)) if len(similar) == 1 else None


def _checked_number(page: Any, file: str, num_pages: int) -> int:
    """The number of a page, from 1; it may be left out for a file that has only one.

    Raises:
        BadRowError: it is no number, or one of no page.
    """
    has = f"{file} has {num_pages:,} page{'' if num_pages == 1 else 's'}"
    if page is None or (isinstance(page, str) and not page.strip()):
        if num_pages > 1:
            raise BadRowError(f"it does not say which page, and {has}: write its number")
        return 1
    number = _whole(page)
    if number is None:
        raise BadRowError(f"its page is not a number: {page}")
    if number < 1:
        raise BadRowError(f"its page is {number}: pages are counted from 1, and {has}")
    if number > num_pages:
        raise BadRowError(f"its page is {number}, but {has}")
    return number


def _whole(value: Any) -> int | None:
    """A whole number, also as `3.0`, as spreadsheets write it; None if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() and not isinstance(value, bool) else None
