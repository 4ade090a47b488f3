"""A part of the corpus as a file: its pages, what is bad, and what it was made of.

The bytes of sources do not limit memory, as a few may become a large picture. So a part is written
one row group at a time, and its writer holds no more than `_BYTES_PER_ROW_GROUP` and one page.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from colintern import storage
from colintern.data.canonical import PIXELS
from colintern.data.entities import Page
from colintern.data.parquet import open_parquet
from colintern.data.writing import corpus_table, unchecked, with_pixels
from colintern.images.pixels import picture_of
from colintern.ingestion.drawn import RenderSettings
from colintern.ingestion.findings import BadItem
from colintern.ingestion.parts import DrawnPiece, Origin, Part, origin_as_planned
from colintern.ingestion.rendering import render
from colintern.ingestion.sources import kind_of

_BYTES_PER_ROW_GROUP = 32 * 2**20  # writing one takes about three times as much memory
_BAD_KEY = b"colintern.refused"
_ORIGIN_KEY = b"colintern.made_of"  # earlier versions did not write it
_WITHOUT_TEXT_KEY = b"colintern.without_text"  # ids of pages; earlier versions read no text


@dataclass(frozen=True)
class WrittenPage:
    """What a written part knows of a page besides its image.

    `picture` identifies what it shows. For pages of PDFs it is the hash of their bytes: equal
    drawings have equal bytes, and decoding would cost 28 ms a page beside 44 ms for drawing.
    `has_text` is None where an earlier version has not looked for a text.
    """

    page_id: str
    doc_id: str
    number: int
    picture: str
    has_text: bool | None = None

    @property
    def is_of_pdf(self) -> bool:
        """Whether it could have a text layer."""
        return kind_of(self.doc_id) == "pdf"


def write_part(part: Part, check: Callable[[], None] = unchecked) -> None:
    """Render all pages of a part and write it; atomic. `check` as in `save_part`."""
    pages = (
        page
        for piece in part.pieces
        for page in render(piece.file, piece.first, piece.last, part.settings)
    )
    save_part(part, pages, _with_hashes(origin_as_planned(part), part), check)


def save_part(
    part: Part,
    found: Iterable[Page | BadItem],
    origin: Origin,
    check: Callable[[], None] = unchecked,
) -> None:
    """Write what was found for a part, as it comes.

    Args:
        part: where to.
        found: its pages and bad items.
        origin: what it was made of.
        check: called before the file gets its name; raises if it must not be written.
    """
    bad: list[BadItem] = []
    with storage.writing(part.path) as file:
        # Images are compressed already; a dictionary of them would be one more copy.
        keys = {"compression": "none", "use_dictionary": False}
        with pq.ParquetWriter(file, _table([]).schema, **keys) as writer:
            without_text: list[str] = []
            for pages in _row_groups(found, bad):
                with storage.named_errors(part.path):
                    writer.write_table(_table(pages))
                without_text += [page.page_id for page in pages if page.text is None]
            writer.add_key_value_metadata(
                {
                    _BAD_KEY: json.dumps([asdict(item) for item in bad]),
                    _ORIGIN_KEY: json.dumps(asdict(origin)),
                    _WITHOUT_TEXT_KEY: json.dumps(without_text),
                }
            )
            with storage.named_errors(part.path):
                writer.close()
        check()


def _row_groups(found: Iterable[Page | BadItem], bad: list[BadItem]) -> Iterator[list[Page]]:
    """The pages, in groups that end when they are large enough; bad ones are added to `bad`."""
    waiting: list[Page] = []
    num_bytes = 0
    for item in found:
        if isinstance(item, BadItem):
            bad.append(item)
            continue
        waiting.append(item)
        num_bytes += len(item.image) + len(item.text or "")
        if num_bytes >= _BYTES_PER_ROW_GROUP:
            yield waiting
            waiting.clear()  # the caller's list too: otherwise two groups would be in memory
            num_bytes = 0
    if waiting:
        yield waiting


def _table(pages: Sequence[Page]) -> pa.Table:
    hashes = [storage.sha256_of_bytes(page.image) for page in pages]
    table = with_pixels(corpus_table(pages), pages)
    return table.append_column("sha256", pa.array(hashes, pa.string()))


def read_part(path: str) -> tuple[list[WrittenPage], list[BadItem]]:
    """The pages and bad items of a written part, without images."""
    with open_parquet(path, []) as parquet:
        table = parquet.read(columns=["corpus-id", "doc-id", "page", "sha256", PIXELS])
        bad = _bad_items(parquet)
        without_text = _pages_without_text(parquet)
    entries = [
        WrittenPage(
            row["corpus-id"],
            row["doc-id"],
            row["page"],
            picture_of(row["sha256"], row.get(PIXELS)),
            None if without_text is None else row["corpus-id"] not in without_text,
        )
        for row in table.to_pylist()
    ]
    return entries, bad


def origin_of(path: str) -> Origin | None:
    """What a written part was made of; None for a part of an earlier version."""
    with open_parquet(path, []) as parquet:
        text = (parquet.metadata.metadata or {}).get(_ORIGIN_KEY)
    if text is None:
        return None
    found = json.loads(text)
    pieces = tuple(DrawnPiece(**piece) for piece in found["pieces"])
    settings, text_rules = RenderSettings(**found["settings"]), found.get("text_rules", 0)
    return Origin(found["rules"], settings, pieces, text_rules)


def origin_of_pages(part: Part, written: Iterable[str]) -> Origin:
    """What `origin_of` is to say of a part that was drawn page by page.

    The hashes of files are those that the pages' own parts tell: a file that kills or hangs whoever
    reads it must not be read here.

    Args:
        part: the whole part.
        written: the paths of its `single_pages` that could be drawn.
    """
    origins = filter(None, map(origin_of, written))
    hashes = {piece.name: piece.sha256 for origin in origins for piece in origin.pieces}
    planned = origin_as_planned(part)
    pieces = tuple(replace(piece, sha256=hashes.get(piece.name)) for piece in planned.pieces)
    return replace(planned, pieces=pieces)


def _with_hashes(origin: Origin, part: Part) -> Origin:
    """With the hashes of local files; an object store tells when the bytes are others."""
    pieces = (
        replace(drawn, sha256=storage.sha256_of_file(of.file.path))
        if storage.is_local(of.file.path) and storage.exists(of.file.path)
        else drawn
        for drawn, of in zip(origin.pieces, part.pieces, strict=True)
    )
    return replace(origin, pieces=tuple(pieces))


def pages_of(path: str) -> Iterator[Page | BadItem]:
    """What `save_part` has written: the pages, then the bad items."""
    with _opened(path) as parquet:
        for batch in parquet.iter_batches(1):
            for row in batch.to_pylist():
                image = row["image"]["bytes"]
                names = row["corpus-id"], image, row["doc-id"], row["text"], row["page"]
                yield Page(*names, pixels_sha256=row[PIXELS])
        yield from _bad_items(parquet)


def _opened(path: str) -> pq.ParquetFile:
    if storage.is_local(path):
        return pq.ParquetFile(storage.local_path(path))
    return pq.ParquetFile(io.BytesIO(storage.read_bytes(path)))


def _bad_items(parquet: pq.ParquetFile) -> list[BadItem]:
    found = json.loads((parquet.metadata.metadata or {}).get(_BAD_KEY, b"[]"))
    return [BadItem(**item) for item in found]


def _pages_without_text(parquet: pq.ParquetFile) -> set[str] | None:
    """The ids of pages for which no text was found; None where nobody has looked."""
    found = (parquet.metadata.metadata or {}).get(_WITHOUT_TEXT_KEY)
    return None if found is None else set(json.loads(found))
