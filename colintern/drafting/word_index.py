"""On how many pages words stand together: what makes a question one about few pages."""

from array import array
from collections.abc import Iterable, Sequence

from colintern.data.words import words

_MIN_LETTERS = 3  # shorter words say little
_RARE_PAGES, _RARE_SHARE = 2, 0.05  # a word on more pages than both is common
_NOWHERE = array("I")


class WordIndex:
    """From each word of three characters or more to the pages that it stands on.

    It takes 4 bytes for each word of a page: 1 KB for a page of 400 words, and 0.2 KB for each word
    of the corpus.

    Args:
        texts: of the pages, one after the other; None for a page without one.
    """

    def __init__(self, texts: Iterable[str | None]) -> None:
        self._pages: dict[str, array[int]] = {}
        self._num_pages = 0
        for page, text in enumerate(texts):
            self._num_pages += 1
            for word in _words(text or ""):
                self._pages.setdefault(word, array("I")).append(page)

    def num_pages(self, text: str) -> int:
        """On how many pages all words of a text stand, in any order.

        Returns:
            0 also for a text of less than two different words.
        """
        found = sorted(map(self._of, _words(text)), key=len)
        if len(found) < 2:
            return 0
        together = set(found[0])
        for pages in found[1:]:
            together.intersection_update(pages)
        return len(together)

    def num_rare(self, text: str) -> int:
        """How many different words of a text stand on few pages each."""
        rare = max(_RARE_PAGES, int(_RARE_SHARE * self._num_pages))
        return sum(len(self._of(word)) <= rare for word in _words(text))

    def _of(self, word: str) -> Sequence[int]:
        return self._pages.get(word, _NOWHERE)


def _words(text: str) -> set[str]:
    return {word for word in words(text) if len(word) >= _MIN_LETTERS}
