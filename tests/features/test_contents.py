"""What several shards hold is put together, the later ones last."""

import numpy as np
import pytest

from colintern.data import digests
from colintern.features.contents import Contents, read_contents
from colintern.features.encoding import WrittenShard
from colintern.features.shard_file import items_of

NAMES = ["aa" * 32, "bb" * 32, "cc" * 32]


def _contents(*shards: tuple[dict[str, int], dict[str, str]]) -> Contents:
    """Of shards with item to number of tokens, and item to the hash of its pixels."""
    files = [f"shard-{number}" for number in range(len(shards))]
    written = {
        f"store/{file}": WrittenShard(1, items_of(tokens, {}, pixels))
        for file, (tokens, pixels) in zip(files, shards, strict=True)
    }
    hashes = np.array([list(bytes.fromhex(name)) for name in NAMES], np.uint8)
    sizes = dict.fromkeys(written, 1)
    return read_contents("store", files, sizes, written, hashes, np.zeros_like(hashes))


@pytest.mark.parametrize("at_once", [1, 100])
def test_the_last_shard_of_an_item_counts_and_the_last_that_notes_its_pixels(monkeypatch, at_once):
    """A hash of pixels lost to a later shard of an earlier version, which noted none."""
    monkeypatch.setattr("colintern.features.contents._LEAST_ROWS", at_once)
    first = {NAMES[0]: 4, NAMES[1]: 5}, {NAMES[0]: "01" * 32, NAMES[1]: "02" * 32}
    second = {NAMES[1]: 6}, {NAMES[1]: "03" * 32}
    third = {NAMES[0]: 7}, {}
    found = _contents(first, second, third)
    assert found.num_tokens.tolist() == [7, 6, -1]
    assert found.shard.tolist() == [2, 1, -1]
    assert digests.is_known(found.pixels).tolist() == [True, True, False]
    assert digests.texts_of(found.pixels).to_pylist()[:2] == ["01" * 32, "03" * 32]
