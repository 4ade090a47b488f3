"""What a worker does: the pages or the queries of one planned shard become its file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor

from colintern import storage
from colintern.data.canonical import read_images
from colintern.errors import DatasetError
from colintern.features.codec import Codec, StoredTokens
from colintern.features.damage import mended
from colintern.features.shard_file import ShardItems, items_of, write_shard
from colintern.features.work import ShardWork
from colintern.images.decode import BadImageError, decode
from colintern.images.pixels import pixels_sha256
from colintern.model.backbone import FrozenBackbone
from colintern.streams import packed

_NOT_FINITE = "the backbone's features of it are not finite"


@dataclass(frozen=True)
class WrittenShard:
    """What stands in a shard that was just written.

    Attributes:
        num_bytes: the size of its file.
        items: what it holds.
    """

    num_bytes: int
    items: ShardItems


def encode_shard(
    work: ShardWork, backbone: FrozenBackbone, codec: Codec, batch_tokens: int
) -> WrittenShard:
    """Encode one planned shard and write it; what cannot be used is noted in it with its reason.

    Raises:
        DatasetError: a page is not the one that was listed; nothing is written.
    """
    features: dict[str, StoredTokens] = {}
    bad: dict[str, str] = {}
    pixels: dict[str, str] = {}
    if work.texts:
        encoded = backbone.encode_queries(work.texts, batch_tokens=batch_tokens)
        features = dict(zip(work.shard.items, map(codec.encode_query, encoded), strict=True))
    for indexes in _model_batches(work.batch_keys, batch_tokens):
        tiles = {}
        for index, image in zip(indexes, _images(work, indexes), strict=True):
            item = work.shard.items[index]
            try:
                pixels[item], tiles[item] = _looked_at(image, backbone)
            except BadImageError as error:
                bad[item] = str(error)
        encoded = backbone.encode_tiles(list(tiles.values()), batch_tokens=batch_tokens)
        features.update(zip(tiles, map(codec.encode_page, encoded), strict=True))
    # One such item would turn every loss, and every score of its batch, into NaN.
    overflown = [name for name, tokens in features.items() if not tokens.is_finite]
    for name in overflown:
        del features[name]
        bad[name] = _NOT_FINITE
    num_bytes = write_shard(work.path, features, bad, backbone.compute_dtype, pixels)
    mended(work.path)
    num_tokens = {name: len(tokens) for name, tokens in features.items()}
    return WrittenShard(num_bytes, items_of(num_tokens, bad, pixels))


def _looked_at(image: bytes, backbone: FrozenBackbone) -> tuple[str, Tensor]:
    """The hash of a page's pixels, and its tiles.

    Its picture is gone then: of a batch all bytes and tiles are in memory, but one picture.

    Raises:
        BadImageError: it cannot be decoded.
    """
    picture = decode(image)
    return pixels_sha256(picture), backbone.page_tiles(picture)


def _images(work: ShardWork, indexes: Sequence[int]) -> list[bytes]:
    """The image bytes of some items of a shard, which are those that its plan has hashed.

    Raises:
        DatasetError: another picture stands there now: features would be filed under a wrong hash.
    """
    images = read_images([work.locations[index] for index in indexes])
    for index, image in zip(indexes, images, strict=True):
        if storage.sha256_of_bytes(image) != work.shard.items[index]:
            raise DatasetError(
                f"{work.locations[index].file}: page {work.page_ids[index]} is not the picture "
                "that was listed: the dataset changed while it was encoded; run the same command "
                "again when nobody writes to it any more"
            )
    return images


def _model_batches(keys: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indexes of pages with equally many tokens, about `batch_tokens` together, at least one."""
    for _, same in groupby(sorted(range(len(keys)), key=keys.__getitem__), keys.__getitem__):
        yield from packed(same, keys.__getitem__, batch_tokens)
