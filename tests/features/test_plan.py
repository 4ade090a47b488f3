"""A store is planned from its corpus: resumed, grown, of one precision (property 8)."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern import records
from colintern.config.schema import BackboneConfig, FeaturesConfig
from colintern.errors import ConfigError, DriftError
from colintern.features import cutting
from colintern.features.plan import check_compute_dtype
from colintern.features.store import FeatureStore
from colintern.model.backbone import compute_dtype, read_identity
from colintern.runs.stores import store_target
from colintern.storage import sha256_of_bytes
from tests.features import helpers
from tests.features.helpers import encoded, planned
from tests.helpers import make_corpus


def test_a_killed_encoding_goes_on_and_ends_with_the_same_bytes(tmp_path, backbone):
    """Shards encoded twice, or planned otherwise because some are there already."""
    for name in ("whole", "killed"):
        make_corpus(tmp_path / name / "set", num_pages=30, num_queries=20)
    everything = encoded(tmp_path / "whole", backbone)
    first = encoded(tmp_path / "killed", backbone, 2)
    rest = encoded(tmp_path / "killed", backbone)
    assert len(everything) > 3
    assert first + rest == everything
    stores = [
        next((tmp_path / name / "runs" / "features").iterdir()) for name in ("whole", "killed")
    ]
    shards = sorted(path.relative_to(stores[0]) for path in stores[0].rglob("*.safetensors"))
    assert len(shards) == len(everything)
    for shard in shards:
        assert (stores[0] / shard).read_bytes() == (stores[1] / shard).read_bytes()


def test_added_pages_get_new_shards(tmp_path, backbone):
    """A corpus that has grown encoded again from the start."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    first = encoded(tmp_path, backbone)
    make_corpus(tmp_path / "set", num_pages=26, num_queries=8)
    second = encoded(tmp_path, backbone)
    assert second
    assert not set(first) & set(second)
    store = FeatureStore(str(next((tmp_path / "runs" / "features").iterdir())))
    assert len(store.pages.ids.to_pylist()) == 26
    assert store.pages.row(10).shard in first
    assert store.pages.row(25).shard in second
    assert store.pages.read(store.pages.find(["p025", "p003"]))[1] == [64, 64]


def test_a_store_is_not_finished_in_another_precision(tmp_path, backbone):
    """Pages of a CPU in float32 beside those of a GPU in bfloat16, in one store, unseen."""
    make_corpus(tmp_path / "set", num_pages=20, num_queries=5)
    check_compute_dtype(planned(tmp_path)[0], "bfloat16")  # nothing is there yet
    encoded(tmp_path, backbone, 1)
    plan, _ = planned(tmp_path)
    assert compute_dtype(BackboneConfig(path="random"), "cuda") == "bfloat16"
    check_compute_dtype(plan, compute_dtype(BackboneConfig(path="random"), "cpu"))
    with pytest.raises(ConfigError, match=r"begun in float32 .* backbone\.dtype=bfloat16"):
        check_compute_dtype(plan, "bfloat16")
    encoded(tmp_path, backbone)
    check_compute_dtype(planned(tmp_path)[0], "bfloat16")  # nothing is missing any more


def test_a_record_names_the_file_that_has_changed_since(tmp_path, backbone):
    """A refused run whose user is left to find out which of the dataset's files it means."""
    make_corpus(tmp_path / "set", num_pages=8, num_queries=5)
    encoded(tmp_path, backbone)
    record = planned(tmp_path)[0].target.record()
    assert record is not None
    for part, name in (("qrels", "qrels/part-00000.parquet"), ("corpus", "corpus")):
        (file,) = (tmp_path / "set" / part).iterdir()
        before = file.read_bytes()
        pq.write_table(pq.read_table(file).slice(1), file)
        target = planned(tmp_path)[0].target
        assert target.record() is None
        with pytest.raises(
            DriftError, match=rf"inputs \(dataset_sha256\.{name}: [^;]*\); set them"
        ):
            records.check_drift("encode-set", record, target.inputs_like(record))
        file.write_bytes(before)
    assert planned(tmp_path)[0].target.is_finished()
    earlier = replace(record, inputs={"dataset_content": "hash of the footers"})
    assert "dataset_sha256.corpus" not in target.inputs_like(earlier)


def _files(root) -> list[str]:
    store = next((root / "runs" / "features").iterdir())
    return sorted(str(path.relative_to(store)) for path in store.rglob("*.*"))


def test_a_store_that_is_begun_keeps_its_shards(tmp_path, backbone, monkeypatch):
    """Shards encoded again because the run goes on with a GPU, or with another shard_bytes."""
    make_corpus(tmp_path / "set", num_pages=30, num_queries=20)
    plan, _ = planned(tmp_path)
    coarse = plan.parts["pages"].new
    monkeypatch.setattr(cutting, "_CPU_MEGAFLOPS_PER_SECOND", 10)
    fine = planned(tmp_path)[0].parts["pages"].new
    assert len(fine) > len(coarse)
    first = encoded(tmp_path, backbone, 2)
    assert first == list(fine.files[:2])
    monkeypatch.setattr(cutting, "_CPU_MEGAFLOPS_PER_SECOND", 10**9)
    monkeypatch.setattr(helpers, "FEATURES", FeaturesConfig(shard_bytes=10**9))
    rest = encoded(tmp_path, backbone)
    assert not set(first) & set(rest)
    assert planned(tmp_path)[0].parts["pages"].files == list(fine.files)
    assert "pages/limits.json" not in _files(tmp_path)


def test_a_store_that_an_earlier_version_began_keeps_its_shards(tmp_path, backbone, monkeypatch):
    """All of a half finished store encoded again after an update: its shards are cut by bytes."""
    make_corpus(tmp_path / "set", num_pages=30, num_queries=20)
    first = encoded(tmp_path, backbone, 2)
    for limits in (tmp_path / "runs").rglob("limits.json"):
        limits.unlink()
    monkeypatch.setattr(cutting, "_CPU_MEGAFLOPS_PER_SECOND", 10)
    assert not set(first) & set(encoded(tmp_path, backbone))


def test_a_corpus_in_other_files_with_the_same_pages_is_the_same(tmp_path, backbone):
    """All encoded again for a new column; or another image or document that goes unseen."""
    make_corpus(tmp_path / "set", num_pages=5, num_queries=3)
    (path,) = (tmp_path / "set" / "corpus").iterdir()
    table = pq.read_table(path)
    hashes = [sha256_of_bytes(image["bytes"]) for image in table["image"].to_pylist()]
    table = table.append_column("sha256", [hashes])
    pq.write_table(table, path)
    encoded(tmp_path, backbone)
    first = planned(tmp_path)[0].target
    assert first.is_finished()

    def is_finished(changed: pa.Table) -> bool:
        pq.write_table(changed, path)
        config = helpers.config_of(tmp_path)
        target = store_target(config, config.data.train, read_identity(config.backbone))
        assert target.inputs != first.inputs
        return target.is_finished()

    def with_hashes(found: list[str | None]) -> pa.Table:
        return table.set_column(table.schema.get_field_index("sha256"), "sha256", [found])

    texts = pa.array(["some text"] * 5)
    assert is_finished(table.set_column(table.schema.get_field_index("text"), "text", texts))
    assert is_finished(table.take([4, 3, 2, 1, 0]))
    documents = table.schema.get_field_index("doc-id")
    assert not is_finished(table.set_column(documents, "doc-id", [["d1", *table["doc-id"][1:]]]))
    assert not is_finished(table.set_column(documents, "doc-id", pa.nulls(5, pa.string())))
    assert not is_finished(table.drop_columns(["doc-id"]))
    assert not is_finished(with_hashes([hashes[2], *hashes[1:]]))
    assert not is_finished(with_hashes([None, *hashes[1:]]))
    assert not is_finished(table.drop_columns(["sha256"]))
    assert not is_finished(table.slice(1))
    assert not is_finished(pa.concat_tables([table, table.slice(0, 1)]))
