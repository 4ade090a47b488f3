"""A run reads the manifests and judgements that it has recorded (property 13)."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from colintern import storage
from colintern.data.canonical import CanonicalDataset
from colintern.errors import DatasetError, MissingStageError
from colintern.features.catalog import Catalog, Snapshot
from colintern.features.manifest import MANIFEST, manifest_file
from colintern.features.plan import StoreTarget
from colintern.features.store import FeatureStore, manifests_of
from tests.features.helpers import config_of, encoded, planned
from tests.helpers import make_corpus


def _begun(root: Path) -> tuple[Catalog, StoreTarget]:
    """The catalog of a run that has just recorded the store of `root/set`."""
    target = planned(root)[0].target
    record = target.record()
    assert record is not None
    hashes = {part: output.sha256 for part, output in manifests_of(record).items()}
    config = config_of(root)
    data = config.data.model_copy(update={"dev_fraction": 0.3})
    snapshot = Snapshot(hashes, target.content.questions)
    return Catalog(data, 0, {"set": target.path}, {"set": snapshot}), target


def _add_pages(root: Path, more: int) -> None:
    """The same queries and judgements, more pages."""
    make_corpus(root / "more", num_pages=12 + more, num_queries=1)
    for file in (root / "more" / "corpus").iterdir():
        file.replace(root / "set" / "corpus" / file.name)


def test_a_store_that_grows_changes_nothing_for_a_run_that_works_from_it(tmp_path, backbone):
    """Pages and pairs of a grown dataset in the middle of a run that has recorded fewer."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=9)
    encoded(tmp_path, backbone)
    catalog, target = _begun(tmp_path)
    (before, _), (dev, _) = catalog.train(), catalog.evaluated("dev")
    _add_pages(tmp_path, 8)
    assert encoded(tmp_path, backbone)
    assert len(FeatureStore(target.path).pages.ids.to_pylist()) == 20
    assert catalog.train()[0] == before
    assert catalog.evaluated("dev")[0] == dev
    assert catalog.train()[1].pages.ids.to_pylist() == [f"p{number:03d}" for number in range(12)]


def test_the_newest_manifest_is_a_copy_of_an_immutable_one(tmp_path, backbone):
    """Scripts that read `manifest.parquet`; a name that does not say what it holds."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=9)
    encoded(tmp_path, backbone)
    _add_pages(tmp_path, 8)
    encoded(tmp_path, backbone)
    store = Path(planned(tmp_path)[0].target.path)
    for part, number in (("pages", 2), ("queries", 1)):
        own = [path for path in (store / part).glob("manifest-*.parquet")]
        assert len(own) == number
        for path in own:
            assert path.name == manifest_file(storage.sha256_of_bytes(path.read_bytes()))
        assert (store / part / MANIFEST).read_bytes() in [path.read_bytes() for path in own]


def test_a_store_of_an_earlier_version_grows_without_losing_its_manifest(tmp_path, backbone):
    """A recorded run that can go on no more, because an earlier version kept one manifest only."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=9)
    encoded(tmp_path, backbone)
    catalog, target = _begun(tmp_path)
    for part in ("pages", "queries"):
        for path in Path(target.path, part).glob("manifest-*"):
            path.unlink()
    assert len(catalog.train()[1].pages.ids.to_pylist()) == 12
    _add_pages(tmp_path, 8)
    encoded(tmp_path, backbone)
    assert len(replace(catalog).train()[1].pages) == 12  # read anew, as another start does
    Path(target.path, "pages", manifest_file(catalog.snapshots["set"].manifests["pages"])).unlink()
    with pytest.raises(MissingStageError, match="run the same command again"):
        replace(catalog).train()


def test_a_manifest_that_was_changed_is_not_read(tmp_path, backbone):
    """Another manifest under the name of the one that a run has recorded."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=9)
    encoded(tmp_path, backbone)
    catalog, target = _begun(tmp_path)
    pages = Path(target.path, "pages")
    rows = pq.read_table(pages / MANIFEST).slice(3, 1)
    for path in pages.glob("manifest*"):
        pq.write_table(rows, path, compression="zstd")
    with pytest.raises(MissingStageError, match=r"pages/manifest-.*missing or damaged"):
        catalog.evaluated("dev")


@pytest.mark.parametrize("part", ["queries", "qrels"])
def test_questions_that_change_under_a_run_are_told(tmp_path, backbone, part):
    """Judgements read as they are now: three perfect rounds told as a gain of 0.5."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=9)
    encoded(tmp_path, backbone)
    catalog, target = _begun(tmp_path)
    catalog.check_questions()
    path = tmp_path / "set" / part / "part-00000.parquet"
    before = path.read_bytes()
    pq.write_table(pq.read_table(path).slice(1), path)
    for read in (catalog.train, lambda: catalog.evaluated("dev"), catalog.check_questions):
        with pytest.raises(DatasetError, match=rf"{part}/part-00000.parquet: has changed since"):
            read()
    with pytest.raises(DatasetError, match="has changed"):  # a store planned by another start
        planned(tmp_path, target)
    path.write_bytes(before)
    catalog.check_questions()


@pytest.mark.parametrize("part", ["queries", "qrels"])
def test_questions_that_are_added_under_a_run_are_not_read(tmp_path, backbone, part):
    """A run that ends because a dataset has grown, or goes on with other questions."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=9)
    encoded(tmp_path, backbone)
    catalog, target = _begun(tmp_path)
    begun = CanonicalDataset(str(tmp_path / "set"), target.content.questions)
    make_corpus(tmp_path / "more", num_pages=12, num_queries=11)
    added = tmp_path / "more" / part / "part-00000.parquet"
    added.rename(tmp_path / "set" / part / "part-00001.parquet")
    catalog.check_questions()
    grown = CanonicalDataset(str(tmp_path / "set"), target.content.questions)
    assert grown.judgements() == begun.judgements()
    assert len(grown.queries()) == 9
    assert target.content.questions != CanonicalDataset(str(tmp_path / "set")).questions()
