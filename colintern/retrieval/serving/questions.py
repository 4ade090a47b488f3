"""What the server asks of an open run, and what it is answered; both travel between processes."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from colintern.retrieval.answers import Hit


@dataclass(frozen=True)
class Search:
    """The best `k` pages for a query; the answer is `Found`."""

    query: str
    k: int


@dataclass(frozen=True)
class Embed:
    """The embeddings of a query: float32 [tokens, E], L2-normalised."""

    query: str


@dataclass(frozen=True)
class PageImage:
    """The bytes of a page's image file."""

    page_id: str


@dataclass(frozen=True)
class Compare:
    """A query against a page, token by token; the answer is `Similarities`."""

    query: str
    page_id: str


Question = Search | Embed | PageImage | Compare


@dataclass(frozen=True)
class Found:
    """What a search found, and where.

    Attributes:
        round: whose heads.
        dataset: the name of the dataset that was searched.
        hits: best first.
    """

    round: int
    dataset: str
    hits: list[Hit]


class Ask(Protocol):
    """Somebody who answers: an open run in this process, or in others."""

    def __call__(self, question: Question, /) -> Awaitable[Any]:
        """The answer to a question.

        Raises:
            UnknownPageError: no such page.
            BusyError: too much is asked already.
            ColInternError: it cannot be answered.
        """
        ...
