"""Vectors for a database: what is written, part by part, and taken up again."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn import functional

from colintern import storage
from colintern.errors import MissingStageError, UserError
from colintern.evaluation.results import read_results
from colintern.features.reduction import clustered
from colintern.model.boxes import token_boxes
from colintern.records import lease
from colintern.retrieval import embed_parts
from colintern.retrieval.embed import EmbedSettings, embed
from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.retrieval.narrowing import narrowed, principal_axes
from colintern.retrieval.vectors import open_vectors, qdrant_problem
from colintern.runs import loop
from colintern.runtime.cluster import Cluster
from colintern.runtime.workers import RayWorkers
from tests.helpers import corpus_of, png
from tests.local_run import NoWorkers, QuickWorkers, make_config

NUM_PAGES = 9


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A root with datasets, one of pages of many tiles, and one finished run, `runs/run`."""
    root = tmp_path_factory.mktemp("embed")
    sizes = [(32, 32), (32, 32), (64, 32), (32, 96), (90, 40), (50, 120), (64, 64), (33, 61)]
    images = [png(50 + n, *size) for n, size in enumerate(sizes)]
    corpus_of(root / "sizes", [*images, images[2]], 4)
    config = make_config(root, backbone={"max_tiles": 4}, cluster={"encode_workers": 2})
    loop.run(config, QuickWorkers())
    return root


@pytest.fixture(scope="module")
def run(root) -> FinishedRun:
    """The run, which has encoded `sizes` too."""
    run = open_finished(str(root / "runs" / "run"))
    run.store(run.dataset(str(root / "sizes")), QuickWorkers())
    return run


def _embed(run: FinishedRun, root: Path, out: Path, workers=None, **settings) -> pa.Table:
    """What is written of the pages of many sizes."""
    given = EmbedSettings(**settings)
    embed(run.folder.path, str(root / "sizes"), str(out), given, workers or QuickWorkers())
    return _read(out)


def _read(out: Path) -> pa.Table:
    return pa.concat_tables(map(pq.read_table, sorted(out.glob("part-*.parquet"))))


def _vectors(table: pa.Table, row: int) -> np.ndarray:
    return np.array(table["vectors"][row].as_py())


def _embeddings(run: FinishedRun, root: Path, heads=None) -> list[torch.Tensor]:
    """What the heads give of the features of each page, in the order of ids."""
    pages = run.store(run.dataset(str(root / "sizes"))).pages
    tokens, lengths = pages.read(range(len(pages)))
    return list((heads or run.heads).exact_pages(tokens.decoded()).split(lengths))


def test_pages_are_written_as_the_heads_embed_them(run, root, tmp_path):
    """Another order, vectors of another page, a page that is left out because another equals it."""
    table = _embed(run, root, tmp_path / "out")
    assert table["page_id"].to_pylist() == [f"p{n:03d}" for n in range(NUM_PAGES)]
    assert table["doc_id"].to_pylist() == [f"d{n // 4}" for n in range(NUM_PAGES)]
    hashes = table["sha256"].to_pylist()
    assert hashes[8] == hashes[2]
    assert len(set(hashes)) == NUM_PAGES - 1
    expected = _embeddings(run, root)
    assert len({len(page) for page in expected}) > 2
    for row, page_PE in enumerate(expected):
        assert np.array_equal(_vectors(table, row).astype(np.float32), page_PE.numpy())
        assert table["num_tokens"][row].as_py() == len(page_PE)
        pooled = functional.normalize(page_PE.double().mean(dim=0), dim=0).numpy()
        np.testing.assert_allclose(table["pooled"][row].as_py(), pooled, atol=1e-6)
    assert table.schema.field("vectors").type == pa.list_(pa.list_(pa.float32(), 16))
    assert "boxes" not in table.column_names


@pytest.mark.parametrize(
    ("dtype", "value", "width"),
    [("float16", pa.float16(), 10), ("int8", pa.int8(), 10), ("binary", pa.uint8(), 2)],
)
def test_types_are_those_of_the_file(run, root, tmp_path, dtype, value, width):
    """A type that is only in our own memory; pooled vectors that are quantised too."""
    table = _embed(run, root, tmp_path / "out", dim=10, dtype=dtype)
    assert table.schema.field("vectors").type == pa.list_(pa.list_(value, width))
    assert table.schema.field("pooled").type == pa.list_(pa.float32(), 10)
    cut = _embeddings(run, root, narrowed(run.heads, principal_axes(run), 10))
    for row, page_PN in enumerate(cut):
        exact = {
            "float16": page_PN.half().numpy(),
            "int8": (page_PN * 127).round().numpy(),
            "binary": np.packbits(page_PN.numpy() > 0, axis=1),
        }
        assert np.array_equal(_vectors(table, row), exact[dtype])
        pooled = functional.normalize(page_PN.double().mean(dim=0), dim=0).numpy()
        np.testing.assert_allclose(table["pooled"][row].as_py(), pooled, atol=1e-6)


def test_few_vectors_are_means_of_clusters_with_their_boxes(run, root, tmp_path):
    """Means that are not normalised; boxes of another cluster, or of the thumbnail."""
    table = _embed(run, root, tmp_path / "out", tokens=5)
    pages, tile_tokens = run.store(run.dataset(str(root / "sizes"))).pages, run.codec.tile_tokens
    for row, page_PE in enumerate(_embeddings(run, root)):
        expected = functional.normalize(clustered(page_PE, 5), dim=1).numpy()
        np.testing.assert_allclose(_vectors(table, row), expected, atol=1e-6)
        layout = pages.layout(row)
        box_P4, is_thumbnail_P = token_boxes(layout.size, layout.tiles, tile_tokens)
        found = [tuple(box) for boxes in table["boxes"][row].as_py() for box in boxes]
        assert sorted(found) == sorted(map(tuple, box_P4[~is_thumbnail_P].tolist()))
        assert len(table["boxes"][row]) == len(expected)
        area = sum((right - left) * (bottom - top) for left, top, right, bottom in found)
        assert area == pytest.approx(layout.size[0] * layout.size[1], rel=1e-5)


def test_one_vector_and_more_than_there_are(run, root, tmp_path):
    """A limit that is not passed and yet changes vectors; one cluster that is cut off."""
    whole = _embeddings(run, root)
    one = _embed(run, root, tmp_path / "one", tokens=1)
    for row, page_PE in enumerate(whole):
        mean = functional.normalize(page_PE.double().mean(dim=0), dim=0).numpy()
        np.testing.assert_allclose(_vectors(one, row), mean[None], atol=1e-6)
        np.testing.assert_allclose(one["pooled"][row].as_py(), mean, atol=1e-6)
    most = max(len(page) for page in whole)
    every = _embed(run, root, tmp_path / "every", tokens=most)
    plain = _embed(run, root, tmp_path / "plain")
    assert every.drop_columns(["boxes"]) == plain
    assert all(len(boxes) <= 1 for page in every["boxes"].to_pylist() for boxes in page)


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of about three pages."""
    monkeypatch.setattr(embed_parts, "_PART_TOKENS", 40)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class _Killed(BaseException):
    """What ends a process from outside."""


def test_a_killed_start_is_taken_up(run, root, tmp_path, small_parts, monkeypatch):
    """A finished part that is made again, other bytes than undisturbed ones, half a folder read."""
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    _embed(run, root, undisturbed, dim=8, tokens=3)
    whole = _bytes(undisturbed)
    assert len([name for name in whole if name.startswith("part-")]) >= 3

    with monkeypatch.context() as patch:
        table = embed_parts.PartWriter._table

        def die_in_the_middle(self, positions):
            if (killed / "part-00001.parquet").exists():
                raise _Killed
            return table(self, positions)

        patch.setattr(embed_parts.PartWriter, "_table", die_in_the_middle)
        with pytest.raises(_Killed):
            _embed(run, root, killed, dim=8, tokens=3)
    left = _bytes(killed)
    assert {"embed.begun.json", "axes.safetensors", "part-00000.parquet"} <= left.keys()
    assert "embed.json" not in left
    with pytest.raises(MissingStageError, match=r"no embed\.json"):
        open_vectors(str(killed))
    with pytest.raises(UserError, match="tokens: 3 -> 4"):
        _embed(run, root, killed, dim=8, tokens=4)
    stamp = (killed / "part-00000.parquet").stat().st_mtime_ns
    _embed(run, root, killed, dim=8, tokens=3)
    assert _bytes(killed) == whole
    assert (killed / "part-00000.parquet").stat().st_mtime_ns == stamp


@pytest.mark.ray
def test_two_workers_write_the_bytes_of_one(run, root, tmp_path, small_parts, ray_cluster):
    """Parts or row groups that depend on who has them, as by a batch that they share."""
    _embed(run, root, tmp_path / "one", dim=8, tokens=3)
    one = _bytes(tmp_path / "one")
    assert run.config.cluster.encode_workers == 2
    assert len([name for name in one if name.startswith("part-")]) >= 3
    on_ray = RayWorkers(Cluster(run.config, []))
    _embed(run, root, tmp_path / "two", on_ray, dim=8, tokens=3)
    assert _bytes(tmp_path / "two") == one


def test_the_same_again_is_done_and_other_settings_are_refused(run, root, tmp_path):
    """Work twice; one folder with vectors of two kinds; a user's own files among the parts."""
    out = tmp_path / "out"
    _embed(run, root, out, dim=8)
    made = _bytes(out)
    _embed(run, root, out, NoWorkers(), dim=8)
    assert _bytes(out) == made
    for settings, told in (
        ({"dim": 9}, "dim: 8 -> 9"),
        ({}, "dim: 8 -> 16; is_narrowed: True -> False"),
        ({"dim": 8, "dtype": "int8"}, "dtype: float32 -> int8"),
        ({"dim": 8, "round_number": 0}, "round: 1 -> 0; heads_sha256: [0-9a-f]{8} -> "),
    ):
        with pytest.raises(UserError, match=told) as caught:
            _embed(run, root, out, NoWorkers(), **settings)
        assert "\n" not in str(caught.value)
    own = tmp_path / "own"
    own.mkdir()
    (own / "part-00000.parquet").write_text("mine")
    with pytest.raises(UserError, match="no folder of vectors"):
        _embed(run, root, own, NoWorkers())
    assert (own / "part-00000.parquet").read_text() == "mine"


def test_two_that_begin_at_once_do_not_share_a_folder(run, root, tmp_path, monkeypatch):
    """Vectors of other settings given as one's own: they were made after the folder was checked."""
    out, is_first = tmp_path / "out", [True]
    held = lease.held

    def after_another(folder, *, wait):
        if is_first and is_first.pop():
            _embed(run, root, out, dim=8)
        return held(folder, wait=wait)

    monkeypatch.setattr(lease, "held", after_another)
    with pytest.raises(UserError, match="dim: 8 -> 9"):
        _embed(run, root, out, dim=9)


def test_a_kill_while_a_finished_folder_is_mended(run, root, tmp_path, small_parts, monkeypatch):
    """A folder with parts and no word of whose they are, which every later start refuses."""
    out = tmp_path / "out"
    _embed(run, root, out)
    made = _bytes(out)
    (out / "part-00001.parquet").unlink()
    with monkeypatch.context() as patch:
        delete = storage.delete

        def die_after(path):
            delete(path)
            if path.endswith("embed.json"):
                raise _Killed

        patch.setattr(storage, "delete", die_after)
        with pytest.raises(_Killed):
            _embed(run, root, out)
    _embed(run, root, out)
    assert _bytes(out) == made


def test_a_part_that_is_lost_is_made_again(run, root, tmp_path, small_parts):
    """A folder that says it is finished, and for ever lacks a file, or has half of it."""
    out = tmp_path / "out"
    _embed(run, root, out)
    made = _bytes(out)
    (out / "part-00001.parquet").unlink()
    (out / "part-00002.parquet").write_bytes(b"half")
    _embed(run, root, out)
    assert _bytes(out) == made


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"dim": 17}, "--dim 17: must be from 1 to 16"), ({"tokens": 0}, "--tokens 0: must be")],
)
def test_what_cannot_be_is_refused_at_once(run, root, tmp_path, settings, told):
    """A folder that is begun, or workers that start, before a mistake is told."""
    with pytest.raises(UserError, match=told):
        _embed(run, root, tmp_path / "out", NoWorkers(), **settings)
    assert not (tmp_path / "out").exists()


def test_a_new_corpus_is_encoded_and_bad_pages_are_left_out(root, run, tmp_path):
    """A dataset that must be encoded by hand; a row without vectors for a page without features."""
    corpus_of(tmp_path / "new", [png(300 + n) for n in range(30)] + [b"no image"], 2)
    config = run.config.model_copy(
        update={"data": run.config.data.model_copy(update={"max_bad_fraction": 0.1})}
    )
    copy = tmp_path / "runs" / "run"
    shutil.copytree(run.folder.path, copy)
    document = json.loads((copy / "run.json").read_text())
    document["config"]["data"]["max_bad_fraction"] = config.data.max_bad_fraction
    document["config"]["features"]["root"] = run.config.features_root
    (copy / "run.json").write_text(json.dumps(document))
    out = str(tmp_path / "out")
    made = embed(str(copy), str(tmp_path / "new"), out, EmbedSettings(), QuickWorkers())
    assert made.info.num_pages == 30
    assert len(_read(tmp_path / "out")) == 30


@pytest.mark.parametrize("dim", [None, 16])
def test_queries_find_what_the_evaluation_found(root, run, tmp_path, dim):
    """Queries that are not turned with the pages, or another prompt, or other heads."""
    out = str(tmp_path / "out")
    made = embed(run.folder.path, "test", out, EmbedSettings(dim=dim), QuickWorkers())
    vectors = open_vectors(out)
    assert vectors.info == made.info
    pages = [page for batch in vectors.batches() for page in batch.to_pylist()]
    assert len(pages) == vectors.info.num_pages == 6
    assert vectors.schema == _read(tmp_path / "out").schema
    empty = replace(vectors, info=vectors.info.model_copy(update={"parts": ()}))
    assert empty.schema.equals(vectors.schema)  # a StopIteration, where no page has features
    rows = read_results(run.folder.results(run.round_number, "test")).to_pylist()
    (query_QN,) = vectors.embed_queries(["question 3 of many"])
    scores = {
        page["page_id"]: (query_QN @ np.array(page["vectors"]).T).max(axis=1).mean()
        for page in pages
    }
    expected = {row["page_id"]: row["score"] for row in rows if row["query_id"] == "q003"}
    assert scores == pytest.approx(expected, abs=1e-6)


def test_queries_need_the_heads_and_axes_of_the_pages(root, run, tmp_path):
    """Scores of two models, without a word; a blank query that finds something."""
    out = tmp_path / "out"
    _embed(run, root, out, dim=8)
    vectors = open_vectors(str(out))
    with pytest.raises(UserError, match="query 2: empty query"):
        vectors.embed_queries(["kettle", " "])
    with pytest.raises(TypeError, match="must be a list of texts"):
        vectors.embed_queries("kettle")
    other = vectors.info.model_copy(update={"round": 2})
    with pytest.raises(MissingStageError, match="has other heads"):
        replace(vectors, info=other).embed_queries(["kettle"])
    (out / "axes.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match=r"axes\.safetensors"):
        vectors.embed_queries(["kettle"])


def test_what_qdrant_does_not_take_is_told(run, root, tmp_path):
    """An upload of hours that fails at the one long page, or a limit that is off by one."""
    _embed(run, root, tmp_path / "out", dim=8)
    vectors = open_vectors(str(tmp_path / "out"))
    vectors.check_fits_qdrant()
    for max_vectors, is_refused in ((2**17 - 1, False), (2**17, True)):
        info = vectors.info.model_copy(update={"max_vectors": max_vectors})
        assert bool(qdrant_problem(info)) == is_refused
    with pytest.raises(UserError, match="--tokens 131071"):
        replace(vectors, info=info).check_fits_qdrant()
