"""The questions of a dataset that is ingested again: what stays, what is added, what would go."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from colintern import storage
from colintern.data.entities import Judgement, Query
from colintern.data.judgements import read_judgements
from colintern.data.parquet import stream_rows
from colintern.data.text import normalised
from colintern.data.writing import write_qrels, write_queries


@dataclass(frozen=True)
class Asked:
    """Queries, and their judgements."""

    queries: Sequence[Query] = ()
    judgements: Sequence[Judgement] = ()

    def on(self, pages: Collection[str]) -> "Asked":
        """Without judgements of other pages, and without queries that have no other judgement.

        A killed replacement may have left judgements of queries that are gone: they go too.
        """
        asked = {query.query_id for query in self.queries}
        judgements = [
            found for found in self.judgements if found.page_id in pages and found.query_id in asked
        ]
        lost = {found.query_id for found in self.judgements}
        lost -= {found.query_id for found in judgements}
        return Asked([query for query in self.queries if query.query_id not in lost], judgements)

    def called_as(self, before: "Asked") -> "Asked":
        """The same, with the ids that equal queries have in `before`.

        An id depends on the languages in which a question is asked, and so on the other rows.
        """
        ids = {_key(query): query.query_id for query in before.queries}
        new = {query.query_id: ids.get(_key(query), query.query_id) for query in self.queries}
        queries = [replace(query, query_id=new[query.query_id]) for query in self.queries]
        judged = [replace(found, query_id=new[found.query_id]) for found in self.judgements]
        return Asked(sorted(queries, key=lambda query: query.query_id), judged)


def _key(query: Query) -> tuple[str, str | None]:
    return normalised(query.text), query.language


def read_asked(folder: str) -> Asked:
    """The questions of a dataset folder; none where it is not there yet."""
    queries, qrels = (
        storage.list_files(storage.join(folder, part), ".parquet") for part in ("queries", "qrels")
    )
    rows = stream_rows(queries, ["query-id", "query"], ["language", "source"])
    found = [
        Query(str(row["query-id"]), row["query"] or "", row.get("language"), row.get("source"))
        for row in rows
    ]
    judged = read_judgements(qrels).to_pylist() if qrels else []
    judgements = [Judgement(row["query-id"], row["corpus-id"], row["score"]) for row in judged]
    return Asked(found, judgements)


@dataclass(frozen=True)
class AskedChange:
    """What becomes of the questions of a dataset.

    Attributes:
        now: all questions, in the end.
        added: those that were not there.
        lost_queries: those that would go.
        lost_judgements: of other queries, those that would go or be judged otherwise.
    """

    now: Asked
    added: Asked = field(default_factory=Asked)
    lost_queries: Sequence[Query] = ()
    lost_judgements: Sequence[Judgement] = ()

    @property
    def is_loss(self) -> bool:
        """Whether something would go or be judged otherwise."""
        return bool(self.lost_queries or self.lost_judgements)

    def told_loss(self) -> str | None:
        """What would go, for a person; None if nothing would."""
        told = []
        if self.lost_queries:
            first = self.lost_queries[0].text
            told.append(f"{len(self.lost_queries):,} questions (the first: '{first}')")
        if self.lost_judgements:
            told.append(f"{len(self.lost_judgements):,} judgements")
        return " and ".join(told) or None


def change_of(before: Asked, now: Asked) -> AskedChange:
    """Hold the questions that are there against those that are to be there; ids are comparable."""
    judged = {(found.query_id, found.page_id): found.score for found in now.judgements}
    asked, known = {q.query_id for q in now.queries}, {q.query_id for q in before.queries}
    lost = {query.query_id: query for query in before.queries if query.query_id not in asked}
    otherwise = [
        found
        for found in before.judgements
        if found.query_id not in lost and judged.get((found.query_id, found.page_id)) != found.score
    ]
    pairs = {(found.query_id, found.page_id) for found in before.judgements}
    added = Asked(
        [query for query in now.queries if query.query_id not in known],
        [found for found in now.judgements if (found.query_id, found.page_id) not in pairs],
    )
    return AskedChange(now, added, list(lost.values()), otherwise)


def write_change(folder: str, change: AskedChange) -> None:
    """Bring the questions of a dataset folder up to date.

    What is only added stands in files of its own: a run that is going on reads those that it knows.
    """
    chosen = change.now if change.is_loss else change.added
    if chosen.queries or change.is_loss:
        _put(
            folder, "queries", change, lambda number: write_queries(folder, chosen.queries, number)
        )
    if chosen.judgements or change.is_loss:
        _put(folder, "qrels", change, lambda number: write_qrels(folder, chosen.judgements, number))


def _put(folder: str, part: str, change: AskedChange, write: Callable[[int], str]) -> None:
    """Write a file of a part: one more, or the only one where something is lost."""
    there = storage.list_files(storage.join(folder, part), ".parquet")
    path = write(0 if change.is_loss else len(there))
    for other in there if change.is_loss else ():
        if other != path:
            storage.delete(other)
