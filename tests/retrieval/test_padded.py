"""A run whose pages keep their shape (`backbone.pad_to_grid`), from the store to heat maps."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from colintern.model.backbone import read_identity
from colintern.model.boxes import is_on_page
from colintern.model.heads import read_info
from colintern.records.run_folder import RunFolder
from colintern.report.heat import open_heat_maps
from colintern.retrieval.embed import EmbedSettings, embed
from colintern.retrieval.finished import open_finished
from colintern.retrieval.retriever import Retriever
from colintern.runs import loop
from tests.helpers import corpus_of, png
from tests.local_run import NoWorkers, QuickWorkers, make_config

# Of tiles of 28 pixels with 2 x 2 tokens; at most four.
GRIDS = {(90, 40): (1, 3), (40, 90): (3, 1), (56, 56): (2, 2), (19, 19): (1, 1), (70, 32): (1, 3)}
TEXT = "question 3 of many"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    """The folder of a finished run over pages of these sizes."""
    root = tmp_path_factory.mktemp("padded")
    for part, first in (("train", 0), ("test", 100)):
        images = [png(first + n, *size) for n, size in enumerate([*GRIDS] * 3)]
        corpus_of(root / part, images, 2 * len(images))
    config = make_config(root, backbone={"max_tiles": 4, "pad_to_grid": True})
    return loop.run(config, QuickWorkers()).path


def test_pages_are_stored_as_they_are_planned_and_embedded(run):
    """A store of stretched pages, a plan for other tiles, or a page that is asked about in both."""
    opened = open_finished(run)
    pages = opened.store(opened.dataset("test"), NoWorkers()).pages
    identity = read_identity(opened.config.backbone)
    retriever = Retriever.open(run, dataset="test", workers=NoWorkers())
    images = [png(100 + n, *size) for n, size in enumerate(GRIDS)]
    for position, (size, tiles) in enumerate(GRIDS.items()):
        assert pages.layout(position).size == size
        assert pages.layout(position).tiles == identity.tile_grid(*size) == tiles
        stored, _ = pages.read([position])
        assert len(stored) == identity.num_page_tokens(*size)
        (embedded,) = retriever.embed_pages([images[position]])
        assert np.array_equal(opened.heads.exact_pages(stored.decoded()).numpy(), embedded)
    assert read_info(RunFolder(run).heads(1)).pad_to_grid


def test_padding_counts_in_scores_and_has_no_place(run):
    """Boxes beside the page, or a score that is not that of the search."""
    retriever = Retriever.open(run, dataset="test", workers=NoWorkers())
    (hits,) = retriever.search([TEXT], 5)
    for hit in hits:
        found = retriever.similarities(TEXT, hit.page_id)
        assert np.float32(found.scores.max(axis=1).astype(np.float64).mean()) == pytest.approx(
            hit.score, abs=1e-6
        )
    found = retriever.similarities(TEXT, "p000")  # drawn 63 pixels wide of 84
    on_page = found.boxes[is_on_page(found.boxes) & ~found.is_thumbnail]
    assert len(on_page) == 10
    assert (on_page[:, 2:] - on_page[:, :2]).prod(axis=1).sum() == pytest.approx(90 * 40)
    assert on_page[:, 2:].max(axis=0).tolist() == [90, 40]


def test_heat_maps_end_at_the_edge_of_the_page(run):
    """A column of regions without width, and a word that lights the white beside the page."""
    folder = RunFolder(run)
    maps = open_heat_maps(folder, folder.read().config, 1, "test")
    assert not isinstance(maps, str)
    words = maps.words("q003", TEXT)
    heat = maps.heat("q003", words, "p000")
    assert heat is not None
    assert heat.x == pytest.approx([0, 2 / 9, 4 / 9, 6 / 9, 8 / 9, 1], abs=1e-4)
    assert heat.y == [0, 0.5, 1]
    found = Retriever.open(run, 1, "test", workers=NoWorkers()).similarities(TEXT, "p000")
    shown = is_on_page(found.boxes) & ~found.is_thumbnail
    for score, (_, own) in zip(heat.scores, words, strict=True):
        assert score == pytest.approx(found.scores[list(own)].mean(0)[shown].max(), abs=1e-3)


def test_few_vectors_have_boxes_on_the_page(run, tmp_path):
    """Boxes for a database that reach beyond the page, or stand at its edge without a width."""
    embed(run, "test", str(tmp_path / "out"), EmbedSettings(tokens=3), QuickWorkers())
    (file,) = (tmp_path / "out").glob("part-*.parquet")
    rows = [
        np.array([box for of_vector in row for box in of_vector])
        for row in pq.read_table(file)["boxes"].to_pylist()
    ]
    assert sorted(set(rows[0][:, 0])) == [0, 20, 40, 60, 80]
    for boxes, (width, height) in zip(rows, [*GRIDS] * 3, strict=True):
        assert is_on_page(boxes).all()
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1).sum()
        assert area == pytest.approx(width * height, rel=1e-5)
