"""What a worker does: the pages or the queries of one planned shard become its file."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from colintern.features.codec import Codec, StoredTokens
from colintern.features.damage import mended
from colintern.features.preparing import PreparedPages, page_batches, prepare
from colintern.features.shard_file import ShardItems, items_of, write_shard
from colintern.features.work import ShardWork
from colintern.model.backbone import FrozenBackbone

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


@dataclass(frozen=True)
class EncodedBatch:
    """What the model, and those who prepared its input, have found out about some items.

    Attributes:
        features: item to [tokens, H] in the model's type, on the CPU.
        pixels: of pages, item to the hash of what it shows.
        bad: items without features, and why.
    """

    features: Mapping[str, Tensor]
    pixels: Mapping[str, str]
    bad: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.features) + len(self.bad)


class ShardBuilder:
    """What becomes a shard: filled while the model runs, then written.

    Features are brought into the form in which they are stored as they come: of a shard, no more
    than its file is in memory, and a batch of the model.

    Args:
        work: the shard.
        codec: how features are stored.
        refused: items that are not encoded, and why.
    """

    def __init__(
        self, work: ShardWork, codec: Codec, refused: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._work = work
        self._encode = codec.encode_query if work.texts else codec.encode_page
        self._features: dict[str, StoredTokens] = {}
        self._bad = dict(refused)
        self._pixels: dict[str, str] = {}

    def add(self, encoded: EncodedBatch) -> None:
        """Take in what the model gives for a batch; may be called in several threads."""
        self._bad.update(encoded.bad)
        self._pixels.update(encoded.pixels)
        for item, features in encoded.features.items():
            stored = self._encode(features)
            # One such item would turn every loss, and every score of its batch, into NaN.
            if stored.is_finite:
                self._features[item] = stored
            else:
                self._bad[item] = _NOT_FINITE

    def write(self, compute_dtype: str) -> WrittenShard:
        """Write the file; what cannot be used is noted in it with its reason.

        Args:
            compute_dtype: what the backbone has computed in.
        """
        path, features = self._work.path, self._features
        num_bytes = write_shard(path, features, self._bad, compute_dtype, self._pixels)
        mended(path)
        num_tokens = {item: len(features[item]) for item in sorted(features)}
        return WrittenShard(num_bytes, items_of(num_tokens, self._bad, self._pixels))


def encode_shard(
    work: ShardWork, backbone: FrozenBackbone, codec: Codec, batch_tokens: int
) -> WrittenShard:
    """Encode one planned shard and write it, all in this process and thread.

    Raises:
        DatasetError: a page is not the one that was listed; nothing is written.
    """
    builder = ShardBuilder(work, codec)
    prepared = (prepare(batch, backbone.tiler) for batch in page_batches(work, batch_tokens))
    for batch in encoded_batches(work, prepared, backbone, batch_tokens):
        builder.add(batch)
    return builder.write(backbone.compute_dtype)


def encoded_batches(
    work: ShardWork,
    prepared: Iterable[PreparedPages],
    backbone: FrozenBackbone,
    batch_tokens: int,
    without: Container[str] = (),
) -> Iterator[EncodedBatch]:
    """Run the model over a shard.

    Args:
        work: the shard.
        prepared: its pages, if it has pages, in their batches.
        backbone: the model.
        batch_tokens: tokens in one of the model's batches.
        without: queries that are left out.

    Yields:
        What the model gives for the queries, or for one batch of pages after the other.
    """
    asked = zip(work.shard.items, work.texts, strict=True) if work.texts else ()
    texts = {item: text for item, text in asked if item not in without}
    if texts:
        encoded = backbone.encode_queries(list(texts.values()), batch_tokens=batch_tokens)
        yield EncodedBatch(dict(zip(texts, encoded, strict=True)), {}, {})
    for batch in prepared:
        encoded = backbone.encode_tiles(batch.pages(), batch_tokens=batch_tokens)
        features = dict(zip(batch.num_tiles, encoded, strict=True))
        yield EncodedBatch(features, batch.pixels, batch.bad)
