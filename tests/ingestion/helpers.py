"""Sources to ingest, and the pages that came out."""

import io
from pathlib import Path

from PIL import Image

from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.ingestion import IngestSettings, ingest
from tests.helpers import png


def noise(seed: int, width: int = 60, height: int = 80) -> Image.Image:
    return Image.open(io.BytesIO(png(seed, width, height)))


def blocks(seed: int) -> Image.Image:
    """A picture that survives a PDF's compression."""
    return noise(seed, 6, 8).resize((60, 80), Image.Resampling.NEAREST)


def pdf(path: Path, *seeds: int) -> None:
    first, *others = [blocks(seed) for seed in seeds]
    first.save(path, "PDF", save_all=True, append_images=others, resolution=72)


def run_ingest(*sources: Path, out: Path, **keys):
    return ingest([str(path) for path in sources], str(out), IngestSettings(**keys))


def pages_in(out: Path) -> dict:
    files = CanonicalDataset(str(out)).corpus_files
    return {page.page_id: page for file in files for _, page in iterate_pages(file)}
