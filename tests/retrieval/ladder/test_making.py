"""Quality against size: what is measured is what `embed` writes, and what rounds have measured."""

import json
import re

import numpy as np
import pytest

from colintern import storage
from colintern.errors import UserError
from colintern.evaluation.metrics import per_query_metrics
from colintern.records.run_folder import RunFolder
from colintern.retrieval.baselines.frame import measured_run
from colintern.retrieval.embed import EmbedSettings, embed
from colintern.retrieval.ladder import making
from colintern.retrieval.ladder.making import make_ladder
from colintern.retrieval.ladder.search import best_by_rung
from colintern.retrieval.vectors import Vectors
from colintern.runs import status
from colintern.search import order
from tests.helpers import run_main
from tests.local_run import QuickWorkers


def _row(document, dim, share, dtype):
    (row,) = (
        row
        for row in document["rows"]
        if (row["dim"], row["share"], row["dtype"]) == (dim, share, dtype)
    )
    return row


# Every type, share of tokens and width at least once.
KINDS = [(8, "1/2", "int8"), (16, "1/4", "binary"), (4, "1/2", "float16"), (8, "all", "float32")]


def test_rows_are_what_embed_writes(run, tmp_path, monkeypatch):
    """Clusters of vectors before they are cut; another rounding; queries that are not turned."""
    searched = {}

    def noted(rungs, *others):
        found = best_by_rung(rungs, *others)
        searched.update(zip(rungs, found, strict=True))
        return found

    monkeypatch.setattr(making, "best_by_rung", noted)
    document = make_ladder(run, 1, "test")
    with measured_run(run, 1) as measured:
        view, _ = measured.view("test")
    judged = {query_id: dict(view.judgements.row(n)) for n, query_id in enumerate(view.judgements)}
    for dim, share, dtype in KINDS:
        row = _row(document, dim, share, dtype)
        assert (row["tokens"] is None) == (share == "all")
        settings = EmbedSettings(1, None if dim == 16 else dim, row["tokens"], dtype)
        out = str(tmp_path / f"{dim}-{dtype}")
        vectors = embed(run, "test", out, settings, QuickWorkers())
        assert vectors.info.num_vectors == row["mean_tokens"] * document["num_pages"]
        score_BD = _scores(vectors, view.texts.to_pylist(), dtype)
        (key_BK,) = (found for rung, found in searched.items() if rung.options == row["embed"])
        found_BK, place_BK = order.to_scores(key_BK).numpy(), order.to_ordinals(key_BK).numpy()
        assert np.array_equal(np.sort(place_BK, axis=1), [range(document["num_pages"])] * 8)
        np.testing.assert_allclose(
            found_BK, np.take_along_axis(score_BD, place_BK, axis=1), rtol=1e-5, atol=1e-6
        )
        ranking = _ranking(view.query_ids.to_pylist(), place_BK, view.page_ids().to_pylist())
        values = per_query_metrics(ranking, judged).values["ndcg_at_5"]
        assert 0 < row["ndcg_at_5"] == values.mean() < 1


def test_the_full_row_is_what_the_round_has_measured(run):
    """Figures of other heads or queries, or by another bootstrap, beside those of the rounds."""
    for name in ("dev", "test"):
        document = make_ladder(run, 1, name)
        full = _row(document, 16, "all", "float32")
        of_round = storage.read_json(RunFolder(run).evaluation(1, name))
        assert full["ndcg_at_5"] == of_round["metrics"]["ndcg_at_5"]
        assert full["ci"] == of_round["ci"]["ndcg_at_5"]
        assert full["difference"] is None
        assert document["num_queries"] == of_round["num_queries"]
        others = [row for row in document["rows"] if row is not full]
        assert any(row["difference"] for row in others)
        for row in others:
            change = row["ndcg_at_5"] - full["ndcg_at_5"]
            assert row["difference"] == pytest.approx(change, abs=1e-12)
            assert row["difference_ci"][0] <= row["difference"] <= row["difference_ci"][1]
        sizes = [row["page_bytes"] for row in document["rows"]]
        assert len(sizes) == 36
        assert sizes == sorted(sizes, reverse=True)


def test_pages_come_in_many_parts(run, monkeypatch):
    """Ordinals that begin again with each part, or only the last part's pages."""
    whole = make_ladder(run, 1, "test")
    with measured_run(run, 1) as measured:
        _, store = measured.view("test")
    most = int(store.pages.num_tokens[:3].sum())
    assert most < store.pages.num_tokens.sum()
    monkeypatch.setattr("colintern.search.embedding._TOKENS", most)
    monkeypatch.setattr(making, "_MAKING", making._MAKING + 1)
    assert make_ladder(run, 1, "test") == whole


def test_it_is_measured_once_and_shown(run, monkeypatch, capsys):
    """Minutes for what stands there; a report without it, or one that is never up to date."""
    code, out, _ = run_main(monkeypatch, capsys, "ladder", run)
    assert code == 0
    head, columns, *rows = out.splitlines()
    document = storage.read_json(RunFolder(run).ladder("dev"))
    assert head.startswith(f"round {document['round']}, dev: ")
    end = columns.index("nDCG@5") + len("nDCG@5")
    for line, row in zip(rows[:36], document["rows"], strict=True):
        assert line.startswith("*") == row["is_on_frontier"]
        assert line[:end].endswith(f"  {row['ndcg_at_5']:.3f}")
    page = storage.read_bytes(RunFolder(run).report).decode()
    assert '<section id="ladder">' in page
    shown = re.sub("<[^>]+>", "", page)
    assert all(row["embed"] in shown for row in document["rows"] if row["is_on_frontier"])
    assert "done" in status.status_lines(run)[-1]
    monkeypatch.setattr(making, "best_by_rung", None)
    code, again, err = run_main(monkeypatch, capsys, "ladder", run, "--json")
    assert json.loads(again) == document
    assert "dev: is measured already" in err


def test_other_heads_are_measured_again(run):
    """The figures of one round, told as those of another."""
    first, second = (make_ladder(run, number) for number in (1, 2))
    assert (first["round"], second["round"]) == (1, 2)
    assert first["rows"] != second["rows"]
    assert storage.read_json(RunFolder(run).ladder("dev")) == second


def test_another_dataset_is_refused(run):
    """A traceback, or the figures of dev under another name."""
    with pytest.raises(UserError, match=r"--dataset train: is no dev or test set .* dev, test"):
        make_ladder(run, dataset="train")


def _scores(vectors: Vectors, texts, dtype) -> np.ndarray:
    """MaxSim of each query with each page that is written, as anybody would compute it."""
    pages = []
    for page in sorted(vectors.pages(), key=lambda page: page["page_id"]):
        page_KN = np.array(page["vectors"])
        if dtype == "binary":
            bits = np.unpackbits(page_KN.astype(np.uint8), axis=1)
            page_KN = np.where(bits[:, : vectors.info.dim], 1.0, -1.0)
        pages.append(page_KN)
    queries = [query_QN.astype(np.float64) for query_QN in vectors.embed_queries(texts)]
    return np.array([[(query @ page.T).max(axis=1).mean() for page in pages] for query in queries])


def _ranking(query_ids, place_BK, page_ids) -> dict[str, list[str]]:
    return {
        query_id: [page_ids[place] for place in places]
        for query_id, places in zip(query_ids, place_BK, strict=True)
    }
