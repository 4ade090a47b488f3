"""An open run that answers the questions of a server, several at a time."""

from collections.abc import Callable, Sequence
from typing import Any

from colintern.errors import ColInternError
from colintern.retrieval.answers import Similarities
from colintern.retrieval.retriever import Retriever
from colintern.retrieval.serving.questions import (
    Compare,
    Embed,
    Found,
    PageImage,
    Question,
    Search,
)


class Answering:
    """Answers questions from one retriever. Questions of a kind are answered together.

    Args:
        retriever: the open run.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._kinds: dict[type, Callable[[list[Any]], list[Any]]] = {
            Search: self._search,
            Embed: self._embed,
            PageImage: self._images,
            Compare: self._compare,
        }

    def answer(self, questions: Sequence[Question]) -> list[Any]:
        """An answer to each question, in their order; an error of ours is an answer too."""
        answers: dict[int, Any] = {}
        for kind, together in self._kinds.items():
            own = [number for number, asked in enumerate(questions) if isinstance(asked, kind)]
            found = _each(together, [questions[number] for number in own])
            answers.update(zip(own, found, strict=True))
        return [answers[number] for number in range(len(questions))]

    def _search(self, asked: list[Search]) -> list[Found]:
        """One search for the most pages that are asked for: the best of it are those of fewer."""
        if not asked:
            return []
        retriever, most = self._retriever, max(one.k for one in asked)
        hits = retriever.search([one.query for one in asked], most)
        return [
            Found(retriever.round, retriever.dataset, found[: one.k])
            for one, found in zip(asked, hits, strict=True)
        ]

    def _embed(self, asked: list[Embed]) -> list[Any]:
        return self._retriever.embed_queries([one.query for one in asked])

    def _images(self, asked: list[PageImage]) -> list[bytes]:
        """All of them at once: a row group of the dataset is read once."""
        images = self._retriever.page_images({one.page_id for one in asked}) if asked else {}
        return [images[one.page_id] for one in asked]

    def _compare(self, asked: list[Compare]) -> list[Similarities]:
        return [self._retriever.similarities(one.query, one.page_id) for one in asked]


def _each(together: Callable[[list[Any]], list[Any]], asked: list[Any]) -> list[Any]:
    """The answers of `together`; one by one where a question fails, which costs only that one."""
    try:
        return together(asked)
    except ColInternError as error:
        if len(asked) == 1:
            return [error]
    return [answer for one in asked for answer in _each(together, [one])]
