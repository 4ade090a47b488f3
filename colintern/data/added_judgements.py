"""What people say of pages beside a dataset's own judgements: the file of `data.judgements`.

Each line is a JSON object: a dataset of the run by its name, a question and a page of it by their
ids, and a score, which is read as the dataset's own scores are. Of several lines about one pair the
last counts. It replaces what the dataset says of the pair: a page becomes relevant, or stops being.
"""

import codecs
import difflib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from colintern import storage
from colintern.config.schema import DEV, DataConfig, datasets
from colintern.data.columns import find, strings
from colintern.data.compute import pc
from colintern.data.judgements import Judgements, read_score, score_problem
from colintern.errors import ConfigError, DatasetError

_KEYS = ("dataset", "query_id", "page_id", "score")
_EXAMPLE = '{"dataset": "mine", "query_id": "...", "page_id": "...", "score": 1}'
_MAX_COMPARED = 50_000  # ids among which the one that is meant is looked for: about a second
_MAX_TOLD = 80  # letters of what stands in a line: a message is one line of a terminal or two


@dataclass(frozen=True)
class JudgedPair:
    """What counts of the lines about one question and one page.

    Attributes:
        line: the number of the line, from 1.
        dataset: the name of the dataset in the run.
        query_id: of the question.
        page_id: of the page.
        score: as it stands in the file; a number.
    """

    line: int
    dataset: str
    query_id: str
    page_id: str
    score: float


@dataclass(frozen=True)
class AddedJudgements:
    """People's judgements of one dataset.

    Attributes:
        scores: query id and page id to what the score counts, as `read_score` reads it.
    """

    scores: Mapping[tuple[str, str], int]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def sha256(self) -> str:
        """A hash of what they say, however the file is written."""
        said = sorted([*pair, score] for pair, score in self.scores.items())
        return storage.sha256_of_bytes(json.dumps(said).encode())

    def applied(self, judgements: Judgements) -> Judgements:
        """The judgements of the dataset with these in place of what it says of the same pairs.

        Args:
            judgements: those of at least 1; what is returned has no others either.
        """
        query_ids, page_ids = (strings(ids) for ids in zip(*self.scores, strict=True))
        rows, pages = find(query_ids, judgements.query_ids), find(page_ids, judgements.page_ids)
        num_pages = max(1, len(judgements.page_ids))
        again = (rows * num_pages + pages)[(rows >= 0) & (pages >= 0)]
        is_again = np.isin(judgements.queries * num_pages + judgements.pages, again)
        kept = judgements.where(~is_again).table()
        scores = pa.array(list(self.scores.values()), pa.int32())
        said = pa.table([query_ids, page_ids, scores], kept.column_names).cast(kept.schema)
        return Judgements.of(pa.concat_tables([kept, said.filter(pc.field("score") >= 1)]))


def added_judgements(data: DataConfig, dataset: str) -> AddedJudgements | None:
    """What people's judgements say of a dataset of a run; None where they say nothing.

    Args:
        data: the datasets, and the file of judgements.
        dataset: the name of one of them; of a dev set that is taken out of train, that of train.

    Raises:
        ConfigError: there is no such file.
        DatasetError: a line cannot be read.
    """
    if data.judgements is None:
        return None
    entry = next(entry for entry in datasets(data) if entry.name == dataset)
    found: dict[tuple[str, str], int] = {}
    for pair in read_pairs(data.judgements):
        if pair.dataset == dataset:
            score = read_score(pair.score, entry.relevant_from)
            if score is None:
                problem = score_problem(pair.score, entry.relevant_from)
                raise _fault(data.judgements, pair.line, f"'score' {problem}; correct it")
            found[pair.query_id, pair.page_id] = score
    return AddedJudgements(found) if found else None


def read_pairs(path: str) -> list[JudgedPair]:
    """What counts of a file of judgements, sorted by dataset, query and page.

    Raises:
        ConfigError: there is no such file.
        DatasetError: a line cannot be read; the message has its number.
    """
    if not path or not storage.exists(path):
        raise ConfigError(
            f"data.judgements={path}: no such file; download one from a report, or write JSON "
            f"lines such as {_EXAMPLE}"
        )
    return list(_pairs(path, storage.version_of(path)))


@lru_cache(maxsize=4)
def _pairs(path: str, version: str) -> tuple[JudgedPair, ...]:
    """As `read_pairs`; every stage asks for them."""
    found: dict[tuple[str, str, str], JudgedPair] = {}
    content = storage.read_bytes(path).removeprefix(codecs.BOM_UTF8)  # editors on Windows write it
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            pair = _pair(path, number, line)
            found[pair.dataset, pair.query_id, pair.page_id] = pair
    return tuple(found[key] for key in sorted(found))


def as_written(pairs: Sequence[JudgedPair]) -> bytes:
    """The file that says just this, whatever lines it was read from."""
    rows = ({key: getattr(pair, key) for key in _KEYS} for pair in pairs)
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def check_names(data: DataConfig) -> None:
    """Make sure that each line is of a dataset of the run, and has a score as that one has them.

    Raises:
        ConfigError: there is no such file.
        DatasetError: a line is not; the message has its number.
    """
    if data.judgements is None:
        return
    known = [entry.name for entry in datasets(data)]
    for pair in read_pairs(data.judgements):
        if pair.dataset not in known:
            meant = _meant(pair.dataset, known) or f"; known here: {', '.join(known)}"
            if pair.dataset == DEV:
                meant = f"; dev is taken out of {data.train.name}, so give that name"
            told = f"no dataset of this run is called '{_short(pair.dataset)}'{meant}"
            raise _fault(data.judgements, pair.line, told)
    for name in known:
        added_judgements(data, name)


def check_ids(
    path: str, dataset: str, query_ids: Collection[str], page_ids: Collection[str]
) -> None:
    """Make sure that a dataset has the questions and pages that are judged.

    Args:
        path: the file of judgements.
        dataset: the name of the dataset.
        query_ids: of all its questions, also of those that cannot be asked.
        page_ids: of all its pages.

    Raises:
        DatasetError: it has not; the message has the number of the line.
    """
    for pair in _in_order_of_lines(path, dataset):
        for key, found, known in (
            ("query_id", pair.query_id, query_ids),
            ("page_id", pair.page_id, page_ids),
        ):
            if found not in known:
                meant = _meant(found, known) or "; correct it, or remove the line"
                told = f"the dataset {dataset} has no '{key}' {_short(found)}{meant}"
                raise _fault(path, pair.line, told)


def _in_order_of_lines(path: str, dataset: str) -> Iterator[JudgedPair]:
    pairs = sorted(read_pairs(path), key=lambda pair: pair.line)
    return (pair for pair in pairs if pair.dataset == dataset)


def _pair(path: str, number: int, line: bytes) -> JudgedPair:
    """What a line says.

    Raises:
        DatasetError: it is no object with just the keys, ids that are texts and a number.
    """
    try:
        row: Any = json.loads(line.decode())
        json.dumps(row, ensure_ascii=False).encode()  # half a character, escaped, is no text
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise _fault(path, number, f"is no JSON object in UTF-8; expected {_EXAMPLE}")
    for key in _KEYS:
        if key not in row:
            raise _fault(path, number, f"has no '{key}'; expected {_EXAMPLE}")
    for key in row:
        if key not in _KEYS:
            raise _fault(path, number, f"unknown key '{_short(key)}'; expected {_EXAMPLE}")
    for key in _KEYS[:3]:
        if not isinstance(row[key], str):
            told = f"'{key}' is {_short(json.dumps(row[key]))}, not a text in quotes; correct it"
            raise _fault(path, number, told)
    if read_score(row["score"], 0.0) is None:
        told = f"'score' is {_short(json.dumps(row['score']))}, not a finite number; correct it"
        raise _fault(path, number, told)
    return JudgedPair(number, **row)


def _meant(name: str, known: Collection[str]) -> str:
    """`; did you mean a?`, or nothing."""
    near = difflib.get_close_matches(name, sorted(known)[:_MAX_COMPARED], 1)
    return f"; did you mean {near[0]}?" if near else ""


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TOLD else f"{text[:_MAX_TOLD]}..."


def _fault(path: str, line: int, told: str) -> DatasetError:
    return DatasetError(f"{path}: line {line:,}: {told}")
