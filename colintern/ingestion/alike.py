"""Did you mean: the file names that may be meant by a wrong one."""

import difflib
import posixpath
from collections.abc import Collection, Sequence

_MAX_SHOWN = 3
_CLOSE = 0.75  # of `difflib`: one wrong letter in four, or two in ten
# Comparing all names with each wrong one would take minutes for a large folder and a file of
# questions about another one: 50,000 comparisons take about a second.
_MAX_COMPARED = 50_000


class AlikeNames:
    """Finds names that are equal but for their case, ending or folder, or nearly equal."""

    def __init__(self, names: Collection[str]) -> None:
        self._by_last_part: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in sorted(names):
            last = _last_part(name)
            self._by_last_part.setdefault(last, []).append(name)
            self._by_stem.setdefault(_stem(last), []).append(name)
        self._left_to_compare = _MAX_COMPARED

    def of(self, name: str) -> list[str]:
        """The names that may be meant, the most similar first; at most three."""
        last = _last_part(name)
        found = self._by_last_part.get(last) or self._by_stem.get(_stem(last))
        if found is None and (near := self._near(last)) is not None:
            found = self._by_last_part[near]
        return _closest(name, found or [])

    def _near(self, last: str) -> str | None:
        if self._left_to_compare < len(self._by_last_part):
            return None
        self._left_to_compare -= len(self._by_last_part)
        return next(iter(difflib.get_close_matches(last, self._by_last_part, 1, _CLOSE)), None)


def told_alike(names: Sequence[str]) -> str:
    """`; did you mean a.pdf or b.pdf?`, or nothing."""
    *others, last = names or [""]
    meant = f"{', '.join(others)} or {last}" if others else last
    return f"; did you mean {meant}?" if meant else ""


def _closest(name: str, found: Sequence[str]) -> list[str]:
    """Files of one name in several folders: those whose folders are most similar."""
    return difflib.get_close_matches(name, found[:_MAX_COMPARED], _MAX_SHOWN, 0.0)


def _last_part(name: str) -> str:
    """The name without its folders, which Windows divides otherwise, in one case."""
    return posixpath.basename(name.replace("\\", "/")).casefold()


def _stem(last_part: str) -> str:
    return posixpath.splitext(last_part)[0]
