"""Triples: a query with its positive pages and the hard negatives that mining found for it."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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


@contextmanager
def writing_triples(path: str) -> Iterator[Callable[[Triple], None]]:
    """A function that writes a triple; the file stands at `path` when the block ends well.

    One JSON object a line, in the order given; atomic.
    """

    def write(triple: Triple) -> None:
        line = json.dumps(vars(triple), ensure_ascii=False) + "\n"
        with storage.named_errors(path):
            file.write(line.encode())

    with storage.writing(path) as file:
        yield write


def read_triples(path: str) -> Iterator[Triple]:
    """The triples of a file, in order, one in memory at a time beside the file itself."""
    # Only \n ends a line: a text's `splitlines` would also cut at U+2028 inside a query.
    for line in io.BytesIO(storage.read_bytes(path)):
        if line != b"\n":
            yield Triple(**json.loads(line))
