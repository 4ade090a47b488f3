"""Rows that ask the same question are one query; in two languages they are two."""

from collections.abc import Iterable

from colintern import storage
from colintern.data.entities import Query
from colintern.data.text import normalised

Key = tuple[str, str | None]  # the text as equal texts are equal, and the language


class EqualQuestions:
    """Collects questions row by row; which are one query is known when all are there.

    A row without a language belongs to the one language in which others ask the same; it is a query
    of its own where those are several.
    """

    def __init__(self) -> None:
        self._first: dict[Key, Query] = {}

    def add(self, text: str, language: str | None, source: str | None) -> Key:
        """Take a row; the first one with a text decides how it is written.

        Returns:
            What `ids` knows the row's query by.
        """
        key = (normalised(text), language)
        self._first.setdefault(key, Query("", text, language, source))
        return key

    def ids(self) -> dict[Key, str]:
        """The ids of the queries: hashes of the text, with the language where there are several."""
        languages: dict[str, set[str]] = {}
        for text, language in self._first:
            languages.setdefault(text, set()).update([] if language is None else [language])
        return {
            (text, language): _hash(text)
            if language is None or len(languages[text]) == 1
            else _hash(f"{language}\0{text}")
            for text, language in self._first
        }

    def queries(self, kept: Iterable[Key] | None = None) -> list[Query]:
        """The queries, sorted by id; of those only that `kept` names, if it is given."""
        ids, found = self.ids(), {}
        for key in self._first if kept is None else kept:
            first = self._first[key]
            query = Query(ids[key], first.text, first.language, first.source)
            found.setdefault(query.query_id, query)
        return [found[query_id] for query_id in sorted(found)]


def _hash(text: str) -> str:
    return storage.sha256_of_bytes(text.encode())[:16]
