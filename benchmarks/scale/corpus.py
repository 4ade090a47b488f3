"""A synthetic corpus of any size: ids, hashes and sizes; no image is drawn and none is encoded."""

import hashlib
import json
import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from colintern.config.schema import DatasetConfig, FeaturesConfig
from colintern.data.content import DatasetContent
from colintern.features.codec import codec_of
from colintern.features.plan import StoreTarget
from colintern.model.backbone import BackboneIdentity
from colintern.model.flops import BackboneFlops, LayerProducts
from colintern.model.processor import TilePlanner
from colintern.model.tiles import Tiler

PAGES_PER_ROW_GROUP = 1_000
NUM_QUERIES = 1_000
_PAGES_PER_DOCUMENT = 20
_COPY_EVERY = 100  # the bytes of every hundredth page are those of the page before
_SIZES = ((1240, 1754), (1275, 1650), (1754, 1240), (2480, 3508))
_WIDTH = 896
_GROUPS_PER_FILE = 50


def shown_by(sha256: str) -> str:
    """The hash of what an image shows, by the hash of its bytes."""
    return hashlib.sha256(sha256.encode()).hexdigest()


@dataclass(frozen=True)
class SyntheticPage:
    """One page as an inventory knows it; hashes as hexadecimal text."""

    page_id: str
    doc_id: str
    sha256: str
    pixels_sha256: str
    width: int
    height: int


def page(number: int) -> SyntheticPage:
    """The page with this number; ids sort as numbers do."""
    document, index = divmod(number, _PAGES_PER_DOCUMENT)
    original = number - 1 if number % _COPY_EVERY == _COPY_EVERY - 1 else number
    sha256 = hashlib.sha256(b"bytes %d" % original).hexdigest()
    return SyntheticPage(
        page_id=f"document-{document:07d}-{index:03d}",
        doc_id=f"document-{document:07d}",
        sha256=sha256,
        pixels_sha256=shown_by(sha256),
        width=_SIZES[original % len(_SIZES)][0],
        height=_SIZES[original % len(_SIZES)][1],
    )


def row_groups(target: StoreTarget, num_pages: int) -> list[tuple[tuple[str, int], range]]:
    """Every row group of the corpus, and the numbers of its pages; ids come in no order."""
    starts = list(range(0, num_pages, PAGES_PER_ROW_GROUP))
    random.Random(0).shuffle(starts)
    folder = f"{target.dataset.path}/corpus"
    return [
        (
            (f"{folder}/part-{number // _GROUPS_PER_FILE:05d}.parquet", number % _GROUPS_PER_FILE),
            range(start, min(num_pages, start + PAGES_PER_ROW_GROUP)),
        )
        for number, start in enumerate(starts)
    ]


def backbone() -> BackboneIdentity:
    """What planning asks of a backbone, of InternVL3-1B's sizes."""
    tiles = TilePlanner(448, 448, token_grid=(16, 16), max_tiles=12)
    tiler = Tiler(448, 448, 12, Image.Resampling.BICUBIC)
    flops = BackboneFlops(
        vision=LayerProducts(302_000_000, 49_000),
        language=LayerProducts(358_000_000, 43_000),
        tile_patches=1_024,
        patch_weights=602_112,
        projector_weights=4_500_000,
        tokens_per_tile=256,
        prompt_tokens=10,
    )
    return BackboneIdentity("0" * 64, _WIDTH, tiles, tiler, joins_prefix=False, flops=flops)


def dataset_in(folder: Path) -> StoreTarget:
    """A dataset with queries, judgements, and a corpus file that stands for all of them.

    It is made in `folder` when it is not there; its store stands beside it.
    """
    numbers = range(NUM_QUERIES)
    ids, pages = [f"q{n:05d}" for n in numbers], [page(n).page_id for n in numbers]
    tables = {
        "corpus": {"corpus-id": pages[:1], "image": [{"bytes": b"", "path": ""}]},
        "queries": {"query-id": ids, "query": [f"question {n}" for n in numbers]},
        "qrels": {"query-id": ids, "corpus-id": pages, "score": [1] * NUM_QUERIES},
    }
    for part, columns in tables.items():
        file = folder / "set" / part / "part-00000.parquet"
        if not file.exists():
            file.parent.mkdir(parents=True)
            pq.write_table(pa.table(columns), file)
    path = str(folder / "set")
    identity = {"dataset_path": path}
    dataset = DatasetConfig(name="set", path=path)
    codec = codec_of(FeaturesConfig(), backbone())
    return StoreTarget(dataset, str(folder / "store"), identity, DatasetContent(path), codec)


def write_hollow_shard(
    path: str, lengths: Mapping[str, int], pixels: Mapping[str, str], width: int = _WIDTH
) -> int:
    """A shard with its true header and size; its features are a hole that takes no disk.

    Args:
        path: the file.
        lengths: item hash to tokens.
        pixels: item hash to the hash of what the page shows.
        width: H of the features.

    Returns:
        The size of the file.
    """
    entries, end = {}, 0
    for sha256, num_tokens in lengths.items():
        start, end = end, end + num_tokens * width * 2
        entries[sha256] = {
            "dtype": "BF16",
            "shape": [num_tokens, width],
            "data_offsets": [start, end],
        }
    notes = {
        "bad_items": {},
        "compute_dtype": "float32",
        "crc32": dict.fromkeys(lengths, 0),
        "pixels_sha256": dict(pixels),
    }
    header = json.dumps({"__metadata__": {"colintern": json.dumps(notes)}, **entries}).encode()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    return 8 + len(header) + end
