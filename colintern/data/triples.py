"""Triples: a query with its positive pages and the hard negatives that mining found for it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from colintern import storage


@dataclass(frozen=True)
class Triple:
    """One line of `triples.jsonl`.

    Scores are exact MaxSim scores; `neg_ranks` start at 1 and count the whole searched corpus.
    `negs` is hardest first.
    """

    query_id: str
    query: str
    pos: list[str]
    negs: list[str]
    pos_scores: list[float]
    neg_scores: list[float]
    neg_ranks: list[int]


def write_triples(path: str, triples: Iterable[Triple]) -> None:
    """Write one JSON object a line, in the order given; atomic."""
    lines = (json.dumps(asdict(triple), ensure_ascii=False) + "\n" for triple in triples)
    storage.write_bytes(path, "".join(lines).encode())


def read_triples(path: str) -> Iterator[Triple]:
    """The triples of a file, in order."""
    # Only \n ends a line: `splitlines` would also cut at U+2028 inside a query.
    for line in storage.read_bytes(path).decode().split("\n"):
        if line:
            yield Triple(**json.loads(line))
