"""What pages show is noted while they are encoded, and stands in the manifest of pages."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from colintern.features import encoding, preparing
from colintern.features.manifest import (
    EARLIER_PAGE_SCHEMA,
    MANIFEST,
    add_manifest,
    open_manifest,
)
from colintern.features.shard_file import ShardFile, write_shard
from colintern.features.store import FeatureStore
from colintern.images.decode import decode
from colintern.images.pixels import pixels_sha256
from tests.features.helpers import encoded, planned
from tests.helpers import corpus_of, png

RECORDED = Path(__file__).parents[1] / "data" / "recorded-3bf57ee" / "runs" / "features"


def _images(levels: tuple[int, ...]) -> list[bytes]:
    """Four images, saved once at each level."""
    return [png(seed, compress_level=level) for level in levels for seed in range(4)]


def test_copies_in_other_bytes_are_encoded_apart_and_known_as_one_page(tmp_path, backbone):
    """A manifest that says what bytes pages have, and not what they show."""
    corpus_of(tmp_path / "set", _images((6, 1)), 4)
    encoded(tmp_path, backbone)
    pages = FeatureStore(planned(tmp_path)[0].target.path).pages
    assert pages.pictures.tolist() == [0, 1, 2, 3] * 2
    assert len({pages.row(position).sha256 for position in range(8)}) == 8
    manifest = open_manifest(str(Path(planned(tmp_path)[0].target.path, "pages")), None)
    shown = [pixels_sha256(decode(image)) for image in _images((6,))] * 2
    assert [row.tobytes().hex() for row in manifest.read_picture_hashes()] == shown


def test_a_page_is_decoded_once(tmp_path, backbone, monkeypatch):
    """A corpus decoded once more only to know what its pages show."""
    decoded = []

    def counted(image: bytes):
        decoded.append(image)
        return decode(image)

    monkeypatch.setattr(preparing, "decode", counted)
    corpus_of(tmp_path / "set", _images((6, 1)), 4)
    encoded(tmp_path, backbone)
    assert sorted(decoded) == sorted(_images((6, 1)))


def test_shards_of_an_earlier_version_stay_and_their_pages_are_known_by_their_bytes(
    tmp_path, backbone
):
    """A store that has to be encoded again because its shards lack a note."""
    corpus_of(tmp_path / "set", _images((6,)), 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "write_shard", lambda *arguments: write_shard(*arguments[:4]))
        assert encoded(tmp_path, backbone)
    path = planned(tmp_path)[0].target.path
    manifest = Path(path, "pages", "manifest.parquet")
    assert "pixels_sha256" not in pq.read_schema(manifest).names
    corpus_of(tmp_path / "set", _images((6, 1)), 4)
    assert encoded(tmp_path, backbone)
    assert pq.read_table(manifest)["pixels_sha256"].to_pylist() == [
        *([None] * 4),
        *(pixels_sha256(decode(image)) for image in _images((1,))),
    ]
    found = open_manifest(str(manifest.parent), None)
    shown = found.read_picture_hashes()
    assert (shown == found.hashes).all(1).tolist() == [True] * 4 + [False] * 4


def test_a_manifest_of_an_earlier_version_is_written_again_alike(tmp_path):
    """A run whose manifest is gone, made anew with another hash than the run has recorded."""
    manifests = sorted(RECORDED.glob("*/pages/manifest.parquet"))
    assert manifests
    for path in manifests:
        rows = pq.read_table(path)
        assert rows.schema == EARLIER_PAGE_SCHEMA
        add_manifest(
            str(tmp_path), EARLIER_PAGE_SCHEMA, len(rows), lambda a, b, rows=rows: rows[a:b]
        )
        assert (tmp_path / MANIFEST).read_bytes() == path.read_bytes()
        found = open_manifest(str(path.parent), None)
        assert (found.read_picture_hashes() == found.hashes).all()
    for path in RECORDED.glob("*/pages/shard-*.safetensors"):
        assert ShardFile(str(path)).pixels == {}
