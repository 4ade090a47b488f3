"""What stands in a corpus: id, hash, size and place of every page, without decoding any."""

from collections.abc import Sequence
from dataclasses import dataclass

from colintern import storage
from colintern.data.canonical import PageLocation, iterate_pages
from colintern.data.parquet import open_parquet
from colintern.images.decode import BadImageError, ImageSize, read_size


@dataclass(frozen=True)
class PageEntry:
    """One row of a corpus.

    Attributes:
        page_id: unique in the corpus.
        sha256: of its image bytes.
        doc_id: its document, if known.
        size: of its image.
        location: where its row stands.
        bad: the reason why the page cannot be used, if it cannot.
        pixels_sha256: the hash of what it shows, where the corpus tells it.
    """

    page_id: str
    sha256: str
    doc_id: str | None
    size: ImageSize
    location: PageLocation
    bad: str | None = None
    pixels_sha256: str | None = None


def row_groups(files: Sequence[str]) -> list[tuple[str, int]]:
    """Every row group of the corpus files: the units that are read in parallel."""
    groups = []
    for file in files:
        with open_parquet(file, ["corpus-id", "image"]) as parquet:
            groups += [(file, group) for group in range(parquet.num_row_groups)]
    return groups


def read_entries(file: str, row_group: int) -> list[PageEntry]:
    """The inventory of one row group."""
    entries = []
    for location, page in iterate_pages(file, [row_group]):
        size, bad = ImageSize(0, 0), None
        try:
            size = read_size(page.image)
        except BadImageError as error:
            bad = str(error)
        digest = storage.sha256_of_bytes(page.image)
        entries.append(
            PageEntry(page.page_id, digest, page.doc_id, size, location, bad, page.pixels_sha256)
        )
    return entries
