"""What happens to pages before the model sees them: read, checked, decoded, cut into tiles.

Nothing here needs torch: it is the work of processes that have no model.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from colintern import storage
from colintern.data.canonical import PageLocation, read_images
from colintern.errors import DatasetError
from colintern.features.work import ShardWork
from colintern.images.decode import BadImageError, decode
from colintern.images.pixels import pixels_sha256
from colintern.model.tiles import Tiler
from colintern.streams import packed


@dataclass(frozen=True)
class PageBatch:
    """Some pages of a shard with equally many tokens: those of one model batch.

    Attributes:
        items: the hashes of their bytes.
        locations: where each stands in the corpus.
        page_ids: what each is called, for messages.
    """

    items: tuple[str, ...]
    locations: tuple[PageLocation, ...]
    page_ids: tuple[str, ...]

    def single(self) -> Iterator["PageBatch"]:
        """Each page as a batch of its own."""
        for item, location, page_id in zip(self.items, self.locations, self.page_ids, strict=True):
            yield PageBatch((item,), (location,), (page_id,))


@dataclass(frozen=True)
class PreparedPages:
    """Pages that are ready for the model.

    Attributes:
        tiles: of all pages, one page after the other, uint8 [tiles, 3, height, width].
        num_tiles: item to its number of tiles, in the order of `tiles`.
        pixels: item to the hash of what it shows; the same items.
        bad: the other items, and why they have no tiles.
    """

    tiles: np.ndarray
    num_tiles: Mapping[str, int]
    pixels: Mapping[str, str]
    bad: Mapping[str, str]

    def pages(self) -> list[np.ndarray]:
        """The tiles of each page, as views."""
        ends = np.cumsum([0, *self.num_tiles.values()])
        return [self.tiles[start:end] for start, end in pairwise(ends)]


def page_batches(
    work: ShardWork, batch_tokens: int, without: Container[str] = ()
) -> Iterator[PageBatch]:
    """The pages of a shard in batches of about `batch_tokens`, at least one page each.

    Args:
        work: the shard.
        batch_tokens: image tokens of a batch.
        without: items that are left out of their batches; the other batches stay as they are.
    """
    for indexes in _model_batches(work.batch_keys, batch_tokens):
        kept = [index for index in indexes if work.shard.items[index] not in without]
        if kept:
            yield PageBatch(
                tuple(work.shard.items[index] for index in kept),
                tuple(work.locations[index] for index in kept),
                tuple(work.page_ids[index] for index in kept),
            )


def prepare(batch: PageBatch, tiler: Tiler) -> PreparedPages:
    """Read the pages of a batch, and make their tiles.

    All bytes and tiles are in memory together, but one decoded picture.

    Raises:
        DatasetError: another picture stands there now: features would be filed under a wrong hash.
    """
    tiles: dict[str, np.ndarray] = {}
    pixels: dict[str, str] = {}
    bad: dict[str, str] = {}
    for item, image in zip(batch.items, _checked_images(batch), strict=True):
        try:
            pixels[item], tiles[item] = _looked_at(image, tiler)
        except BadImageError as error:
            bad[item] = str(error)
    none = np.empty((0, 3, tiler.height, tiler.width), np.uint8)
    num_tiles = {item: len(page) for item, page in tiles.items()}
    return PreparedPages(np.concatenate([none, *tiles.values()]), num_tiles, pixels, bad)


def refused(batch: PageBatch, tiler: Tiler, reason: str) -> PreparedPages:
    """All pages of a batch as bad ones."""
    none = np.empty((0, 3, tiler.height, tiler.width), np.uint8)
    return PreparedPages(none, {}, {}, dict.fromkeys(batch.items, reason))


def joined(parts: Sequence[PreparedPages]) -> PreparedPages:
    """Pages that were prepared one by one, as if they had been prepared together."""
    num_tiles, pixels, bad = {}, {}, {}
    for part in parts:
        num_tiles |= part.num_tiles
        pixels |= part.pixels
        bad |= part.bad
    return PreparedPages(np.concatenate([part.tiles for part in parts]), num_tiles, pixels, bad)


def _model_batches(keys: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indexes of pages with equally many tokens, about `batch_tokens` together, at least one."""
    for _, same in groupby(sorted(range(len(keys)), key=keys.__getitem__), keys.__getitem__):
        yield from packed(same, keys.__getitem__, batch_tokens)


def _checked_images(batch: PageBatch) -> list[bytes]:
    """The image bytes of a batch, which are those that its plan has hashed."""
    images = read_images(batch.locations)
    for at, image in enumerate(images):
        if storage.sha256_of_bytes(image) != batch.items[at]:
            raise DatasetError(
                f"{batch.locations[at].file}: page {batch.page_ids[at]} is not the picture "
                "that was listed: the dataset changed while it was encoded; run the same command "
                "again when nobody writes to it any more"
            )
    return images


def _looked_at(image: bytes, tiler: Tiler) -> tuple[str, np.ndarray]:
    """The hash of a page's pixels, and its tiles; its picture is gone then.

    Raises:
        BadImageError: it cannot be decoded.
    """
    picture = decode(image)
    return pixels_sha256(picture), tiler(picture)
