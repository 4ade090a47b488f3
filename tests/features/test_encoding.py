"""What the backbone cannot encode costs its page or query only (property 10)."""

import weakref
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from colintern import records
from colintern.errors import DatasetError, TooManyBadPagesError
from colintern.evaluation.metrics import per_query_metrics
from colintern.features import preparing
from colintern.features.catalog import Catalog
from colintern.features.encoding import encode_shard
from colintern.features.finish import finish_store
from colintern.features.store import FeatureStore
from colintern.features.work import ShardWork
from colintern.images.decode import decode
from tests.features.helpers import config_of, planned
from tests.helpers import make_corpus


class _Overflowing:
    """A backbone whose first page and first query are too large for float16."""

    def __init__(self, backbone):
        self._backbone = backbone
        self.compute_dtype = backbone.compute_dtype
        self.tiler = backbone.tiler
        self._waits = {"encode_tiles", "encode_queries"}

    def encode_tiles(self, *arguments, **options):
        return self._encode("encode_tiles", *arguments, **options)

    def encode_queries(self, *arguments, **options):
        return self._encode("encode_queries", *arguments, **options)

    def _encode(self, name, *arguments, **options):
        found = getattr(self._backbone, name)(*arguments, **options)
        if name in self._waits:
            self._waits.remove(name)
            found[0] = found[0] * 1e9
        return found


def test_features_that_are_not_finite_cost_their_page_or_query_only(tmp_path, backbone):
    """One page that overflows, and every loss after it NaN (property 10)."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=8)
    plan, identity = planned(tmp_path)
    overflowing = _Overflowing(backbone)
    for work in plan.missing():
        encode_shard(work, overflowing, replace(plan.target.codec, dtype="float16"), 2_000)
    with pytest.raises(TooManyBadPagesError, match="2 of 12 pages"):
        finish_store(plan, identity, 0.1, records.now())
    finished = finish_store(plan, identity, 0.2, records.now())
    why = "the backbone's features of it are not finite"
    assert finished.bad_pages == {"p000": why, "p001": why}  # one image
    assert finished.bad_queries == {"q000": why}
    store = FeatureStore(plan.target.path)
    for part, kept in (("pages", finished.bad_pages), ("queries", finished.bad_queries)):
        items, lines = getattr(store, part), Path(store.path, f"bad_{part}.jsonl")
        assert len(lines.read_text().splitlines()) == len(kept)
        assert not set(kept) & set(items.ids.to_pylist())
        assert items.read(range(len(items)))[0].is_finite
    data = config_of(tmp_path).data
    test = data.train.model_copy(update={"name": "test"})
    data = data.model_copy(update={"eval": (test,)})
    catalog = Catalog(data, 0, {data.train.name: store.path, "test": store.path})
    for view, _ in (catalog.train(), catalog.evaluated("test")):
        assert len(view.queries)
        assert "q000" not in view.query_ids.to_pylist()
    found_nothing = per_query_metrics({}, catalog.evaluated("test")[0].judgements)
    assert (
        "q000" in found_nothing.query_ids.to_pylist()
    )  # it counts, as a query that has found nothing


def _turned_round(file: Path) -> None:
    """The same rows, in the opposite order."""
    table = pq.read_table(file)
    pq.write_table(table.take(list(range(len(table)))[::-1]), file)


def _shortened(file: Path) -> None:
    """Only the first rows, so that row groups that were listed are gone."""
    pq.write_table(pq.read_table(file).slice(0, 3), file)


@pytest.mark.parametrize("change", [_turned_round, _shortened])
def test_a_corpus_that_changes_while_it_is_encoded_is_told(tmp_path, backbone, change):
    """Features of one picture kept for good under the hash of another (property 13)."""
    make_corpus(tmp_path / "set", num_pages=150, num_queries=5)
    plan, _ = planned(tmp_path)
    (file,) = (tmp_path / "set" / "corpus").iterdir()
    pages = [work for work in plan.missing() if work.folder.endswith("pages")]
    change(file)
    work = ShardWork.unpacked(pages[-1].packed())
    words = rf"corpus/{file.name}: page p\d+ .*the dataset changed while it was encoded"
    with pytest.raises(DatasetError, match=words):
        encode_shard(work, backbone, plan.target.codec, 2_000)
    assert not Path(work.path).exists()


def test_one_picture_of_a_model_batch_is_in_memory(tmp_path, backbone, monkeypatch):
    """All decoded pages of a batch at once: 64 of 300 MB each."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=8)
    plan, _ = planned(tmp_path)
    decoded: list[weakref.ref[Image.Image]] = []

    def counted(data: bytes) -> Image.Image:
        assert not any(picture() for picture in decoded)
        picture = decode(data)
        decoded.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(preparing, "decode", counted)
    for work in plan.missing():
        encode_shard(work, backbone, plan.target.codec, 16_384)
    assert len(decoded) > 2
