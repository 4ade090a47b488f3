"""What is told about a configuration before any long work starts."""

import pytest

from colintern.config_file import parse_config
from colintern.data.entities import Judgement, Page, Query
from colintern.data.writing import write_dataset
from colintern.errors import DatasetError
from colintern.preflight import check_datasets, unused_settings
from tests.helpers import make_corpus, png

OVERLONG = "word " * 2_000


def test_settings_without_effect_are_told(tmp_path):
    """A knob that is turned for days and moves nothing."""
    quiet = {"data": {"train": "demo", "dev": "demo"}, "mining": {"search": "exact"}}
    assert unused_settings(parse_config(quiet, "test")) == []
    data = {**quiet["data"], "dev_fraction": 0.2}
    mining = {"search": "exact", "candidates": 5, "num_negatives": 4}
    told = unused_settings(parse_config({"data": data, "mining": mining}, "test"))
    assert [line.split()[0] for line in told] == ["data.dev_fraction", "mining.candidates"]
    alone = {**quiet, "evaluation": {"search": "pooled_rerank"}}
    told = unused_settings(parse_config(alone, "test"))
    assert [line.split()[0] for line in told] == ["evaluation.search"]
    pinned = {"revision": "0" * 40, "language": "en", "split": "test"}
    folder, url = {"path": str(tmp_path), **pinned}, {"path": "s3://bucket/set", **pinned}
    hub = {"path": "vidore/a", **pinned}
    data = {"train": folder, "dev": hub, "eval": [{"path": "demo", **pinned}, url]}
    told = unused_settings(parse_config({"data": data}, "test"))
    assert [line.split()[0] for line in told] == [
        "data.train.revision",
        "data.eval.0.revision",
        "data.eval.0.language",
        "data.eval.1.revision",
    ]


@pytest.mark.parametrize(
    ("role", "texts", "found"),
    [
        ("eval", [" ", ""], r"dataset bad: none of its 2 judged queries .*q0: empty query"),
        ("eval", [OVERLONG], r"dataset bad: none of its 1 judged queries .*10,000 characters"),
        ("dev", [OVERLONG, "\n"], r"dataset dev: none of its 2 judged queries can be asked"),
        ("train", ["", ""], r"dataset bad: none of its 2 judged queries can be asked"),
        ("eval", [" ", "text"], None),
        ("dev", ["", "text"], None),
    ],
)
def test_a_set_of_which_no_query_can_be_asked_is_refused(tmp_path, role, texts, found):
    """A traceback after all its pages were encoded, or a test set that is all zeros."""
    make_corpus(tmp_path / "good", num_pages=20, num_queries=40)
    asked = [*(Query(f"q{n}", text) for n, text in enumerate(texts)), Query("unjudged", "text")]
    judged = [Judgement(query.query_id, "p", 1) for query in asked[:-1]]
    write_dataset(str(tmp_path / "bad"), [Page("p", png(1))], asked, judged)
    bad = str(tmp_path / "bad")
    data = {"train": str(tmp_path / "good"), role: [bad] if role == "eval" else bad}
    config = parse_config({"data": data}, "test")
    if found is None:
        check_datasets(config)
        return
    with pytest.raises(DatasetError, match=found):
        check_datasets(config)
