"""The file of people's judgements: what it may say, and what it does to a dataset's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from colintern.config.files import parse_config
from colintern.config.schema import DataConfig
from colintern.data.added_judgements import (
    AddedJudgements,
    added_judgements,
    as_written,
    check_ids,
    check_names,
    read_pairs,
)
from colintern.data.judgements import Judgements
from colintern.errors import ConfigError, DatasetError

ROW = {"dataset": "train", "query_id": "q1", "page_id": "p1", "score": 1}


def _written(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def _data(judgements: str | None, **train: Any) -> DataConfig:
    entry = {"path": "somewhere", "name": "train", **train}
    document = {"train": entry, "eval": ["far/test"], "judgements": judgements}
    return parse_config({"data": document}, "test").data


def test_the_last_line_about_a_pair_counts(tmp_path):
    """An answer that was taken back in a later download, and counts all the same."""
    path = _written(tmp_path / "j.jsonl", ROW, {**ROW, "query_id": "q0"}, {**ROW, "score": 0})
    assert [(pair.line, pair.query_id, pair.score) for pair in read_pairs(path)] == [
        (2, "q0", 1),
        (3, "q1", 0),
    ]


def test_a_file_that_was_saved_on_windows_is_read(tmp_path):
    """A first line that cannot be read, in which nobody can see a fault."""
    lines = [json.dumps(ROW), "", json.dumps({**ROW, "query_id": "fünf"})]
    path = tmp_path / "j.jsonl"
    path.write_bytes("\r\n".join(["", *lines, ""]).encode("utf-8-sig"))
    assert [(pair.line, pair.query_id) for pair in read_pairs(str(path))] == [
        (4, "fünf"),
        (2, "q1"),
    ]


def test_what_is_said_counts_and_not_how_the_file_is_written(tmp_path):
    """A run that is refused because somebody sorted the file."""
    rows = [ROW, {**ROW, "query_id": "q0"}, {**ROW, "score": 2}]
    one = _written(tmp_path / "one.jsonl", *rows)
    other = _written(tmp_path / "other.jsonl", *reversed(rows[1:]), rows[2])
    (tmp_path / "copy.jsonl").write_bytes(as_written(read_pairs(one)) + b"\n")
    hashes = {
        path: added.sha256
        for path in (one, other, str(tmp_path / "copy.jsonl"))
        if (added := added_judgements(_data(path), "train"))
    }
    assert len(hashes) == 3
    assert len(set(hashes.values())) == 1
    changed = added_judgements(_data(_written(tmp_path / "third.jsonl", *rows[:2])), "train")
    assert changed is not None
    assert changed.sha256 not in hashes.values()


def test_each_dataset_is_told_its_own_lines_only(tmp_path):
    """Answers about a test set that change what is trained."""
    path = _written(tmp_path / "j.jsonl", {**ROW, "dataset": "test", "page_id": "p9"})
    assert added_judgements(_data(path), "train") is None
    assert added_judgements(_data(None), "test") is None
    assert added_judgements(_data(path), "test") == AddedJudgements({("q1", "p9"): 1})


def test_scores_are_read_as_those_of_the_dataset(tmp_path):
    """A page with 2 of 5 points that becomes relevant, where the dataset says from 3 on."""
    rows = [{**ROW, "page_id": f"p{score}", "score": score} for score in (2, 2.5, 3, 4.5)]
    path = _written(tmp_path / "j.jsonl", *rows)
    added = added_judgements(_data(path, relevant_from=3), "train")
    assert added is not None
    assert [score for _, score in sorted(added.scores.items())] == [0, 0, 1, 1]
    with pytest.raises(DatasetError, match=r"j\.jsonl: line 2: .*not a whole number.*2\.5"):
        added_judgements(_data(path), "train")


def test_added_judgements_replace_those_of_the_same_pair():
    """A wrong right page that stays right; other judgements of the query that are lost."""
    own = Judgements.from_mapping({"a": {"p": 1, "q": 2}, "b": {"p": 1}, "c": {"z": 1}})
    said = {
        ("a", "p"): 0,  # removes one of two
        ("a", "r"): 1,  # a page that nothing was judged of
        ("b", "p"): 0,  # the only one
        ("c", "z"): 3,  # another grade
        ("d", "q"): 1,  # a query that was not judged
        ("c", "p"): 0,  # says what nobody denied
    }
    applied = AddedJudgements(said).applied(own)
    assert dict(applied) == {"a": {"q": 2, "r": 1}, "c": {"z": 3}, "d": {"q": 1}}
    assert dict(AddedJudgements({("b", "p"): 0, ("c", "z"): 0}).applied(own)) == {
        "a": {"p": 1, "q": 2}
    }


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "is no JSON object"),
        ("[1]", "is no JSON object"),
        (b"\xff\xfe".decode("latin-1"), "is no JSON object in UTF-8"),
        (json.dumps({**ROW, "page_id": "\ud83d"}), "is no JSON object in UTF-8"),
        ("[" * 100_000, "is no JSON object"),
        (json.dumps({**ROW, "score": "1"}), "'score' is \"1\", not a finite number"),
        (json.dumps({**ROW, "score": True}), "'score' is true, not a finite number"),
        (json.dumps({**ROW, "score": float("nan")}), "'score' is NaN, not a finite number"),
        (json.dumps({**ROW, "query_id": 7}), "'query_id' is 7, not a text"),
        (json.dumps({k: v for k, v in ROW.items() if k != "page_id"}), "has no 'page_id'"),
        (json.dumps({**ROW, "by": "Ann"}), "unknown key 'by'"),
        (json.dumps({**ROW, "dataset": "trian"}), "called 'trian'; did you mean train?"),
        (json.dumps({**ROW, "dataset": "xyz"}), "called 'xyz'; known here: train, test"),
        (json.dumps({**ROW, "dataset": "dev"}), "'dev'; dev is taken out of train, so give that"),
        (json.dumps({**ROW, "dataset": "x" * 9_999}), f"'{'x' * 80}...'; known here: train, test"),
        (json.dumps({**ROW, "score": [1] * 9_999}), "1, 1..., not a finite number; correct it"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_with_its_number(tmp_path, line, told):
    """Answers that are dropped without a word; a message that makes people look for the line."""
    path = tmp_path / "j.jsonl"
    path.write_bytes(f"{json.dumps(ROW)}\n\n{line}\n".encode("latin-1"))
    with pytest.raises(DatasetError) as caught:
        check_names(_data(str(path)))
    assert str(caught.value).startswith(f"{path}: line 3: ")
    assert told in str(caught.value)


def test_a_question_or_page_that_is_not_there_is_told(tmp_path):
    """A file of another dataset that changes nothing, and nobody is told."""
    rows = [ROW, {**ROW, "dataset": "test", "page_id": "other"}, {**ROW, "query_id": "q01"}]
    path = _written(tmp_path / "j.jsonl", *rows, {**ROW, "page_id": "page-1"})
    check_ids(path, "train", {"q1", "q01"}, {"p1", "page-1"})
    with pytest.raises(DatasetError, match=r"line 3: the dataset train has no 'query_id' q01; did"):
        check_ids(path, "train", {"q1"}, {"p1"})
    with pytest.raises(DatasetError, match=r"line 4: .* 'page_id' page-1; did you mean page-10\?"):
        check_ids(path, "train", {"q1", "q01"}, {"p1", "page-10"})


@pytest.mark.parametrize("path", ["", "nowhere.jsonl"])
def test_a_file_that_is_not_there_is_told(tmp_path, monkeypatch, path):
    """A traceback, or a run without the answers that somebody gave."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^data\.judgements=.*: no such file; download one"):
        check_names(_data(path))
