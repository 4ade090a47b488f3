"""A finished store, read by id."""

from pathlib import Path

import pytest
import torch

from colintern.data.canonical import read_images
from colintern.errors import MissingStageError
from colintern.features.shard_file import ShardFile
from colintern.features.store import FeatureStore
from colintern.images.decode import decode
from tests.features.helpers import encoded, planned
from tests.helpers import make_corpus


def test_features_are_those_of_the_page(tmp_path, backbone):
    """Features filed under another page, or one copy for each of two equal images."""
    make_corpus(tmp_path / "set", num_pages=12, num_queries=5)
    encoded(tmp_path, backbone)
    store = FeatureStore(str(next((tmp_path / "runs" / "features").iterdir())))
    plan, _ = planned(tmp_path)
    picture = decode(read_images([plan.pages.location(7)])[0])
    expected = backbone.encode_pages([picture])[0].bfloat16()
    found, lengths = store.pages.read([7])
    assert lengths == [store.pages.num_tokens[7]] == [64]
    torch.testing.assert_close(found.float(), expected.float(), atol=0.02, rtol=0.02)
    assert store.pages.row(0).sha256 == store.pages.row(1).sha256
    assert torch.equal(store.pages.read([0])[0], store.pages.read([1])[0])
    num_stored = sum(
        len(ShardFile(str(p)).num_tokens()) for p in Path(store.path).glob("pages/*.s*")
    )
    assert num_stored == 11
    expected = backbone.encode_queries(["question 3 of many"])[0]
    found, _ = store.queries.read([3])
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.02)


def test_an_unfinished_store_is_not_read(tmp_path):
    """Half a corpus searched as if it were all."""
    with pytest.raises(MissingStageError, match="colintern encode"):
        FeatureStore(str(tmp_path))
