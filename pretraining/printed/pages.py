"""Pages of PDF files as pictures with their characters: the raw material of `reader-print`.

A document gives up to so many pages, drawn at random from a seed that its bytes decide. What is not
readable English is left out, and what shares six words in a row with the demo.
"""

import hashlib
import io
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pypdfium2 as pdfium
from PIL import Image

from colintern.data.demo.prose import word_runs
from colintern.log import say
from pretraining.printed.characters import PrintedText, is_english, is_readable, printed_text
from pretraining.text import demo_runs

_MAX_BYTES = 30_000_000  # of a document
_SIDES = (1_000, 1_600)  # the longer side of a picture, in pixels
_QUALITIES = (70, 78, 85, 92)  # of JPEG
_MIN_POINTS, _MAX_POINTS = 250, 1_400  # a side of a page
_TRIES = 3  # pages that are looked at for each that is wanted
_BATCH = 100

SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("document", pa.string()),
        ("page", pa.int32()),
        ("jpeg", pa.binary()),
        ("text", pa.string()),
        ("places", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Document:
    """A PDF file, and what it is known by.

    Attributes:
        path: of the file.
        name: the package and the file's name, which decide whether it is held out.
        kind: the source: what reading is told by.
        most: pages that are taken of it: many layouts matter more than many pages.
        seed: decides which; None for the file's bytes. A program that prints notes the time.
        is_made_up: its text is known to be right, and need not be English.
    """

    path: Path
    name: str
    kind: str
    most: int = 6
    seed: str | None = None
    is_made_up: bool = False


@dataclass(frozen=True)
class PageRow:
    """A page: a grey picture as JPEG, its text, and the places of its characters."""

    kind: str
    document: str
    page: int
    jpeg: bytes
    printed: PrintedText

    def as_row(self) -> dict[str, object]:
        """In `SCHEMA`."""
        return {
            "kind": self.kind,
            "document": self.document,
            "page": self.page,
            "jpeg": self.jpeg,
            "text": self.printed.text,
            "places": self.printed.places.tobytes(),
        }


class PageFile:
    """The pages in an Arrow file, read one at a time: the file is mapped into memory.

    Args:
        path: that `write_pages` has written.
    """

    def __init__(self, path: Path) -> None:
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, number: int) -> PageRow:
        """The page of that number, from 0."""
        (row,) = self._table.slice(number, 1).to_pylist()
        places = np.frombuffer(row["places"], np.float32).reshape(-1, 4)
        printed = PrintedText(row["text"], places)
        return PageRow(row["kind"], row["document"], row["page"], row["jpeg"], printed)

    def column(self, name: str) -> list:
        """A column of all pages."""
        return self._table.column(name).to_pylist()


def write_pages(documents: Iterable[Document], path: Path) -> None:
    """Write the pages of some documents as one Arrow file."""
    fresh = path.with_suffix(".fresh")
    num_documents = num_pages = 0
    with pa.ipc.new_file(fresh, SCHEMA) as writer:
        rows: list[dict[str, object]] = []
        for document in documents:
            found = [page.as_row() for page in pages_of(document)]
            num_documents += bool(found)
            num_pages += len(found)
            rows += found
            if len(rows) >= _BATCH:
                writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
    fresh.rename(path)
    say("pages", "%s: %d pages of %d documents", path.name, num_pages, num_documents)


def pages_of(document: Document) -> list[PageRow]:
    """Readable pages of a document; none if it is not in English."""
    data = document.path.read_bytes()
    if len(data) > _MAX_BYTES:
        return []
    draw = random.Random(document.seed or hashlib.sha256(data).hexdigest())
    try:
        with pdfium.PdfDocument(data) as pdf:
            numbers = list(range(len(pdf)))
            draw.shuffle(numbers)
            readable = _readable_pages(document, pdf, numbers[: _TRIES * document.most], draw)
            found = list(islice(readable, document.most))
    except pdfium.PdfiumError:
        return []
    if document.is_made_up or (found and is_english([page.printed.text for page in found])):
        return found
    return []


def _readable_pages(
    document: Document, pdf: pdfium.PdfDocument, numbers: list[int], draw: random.Random
) -> Iterator[PageRow]:
    for number in numbers:
        try:
            page = pdf[number]
        except pdfium.PdfiumError:
            continue
        width, height = page.get_size()
        if page.get_rotation() or not _MIN_POINTS < min(width, height) <= max(width, height) < (
            _MAX_POINTS
        ):
            continue
        scale = draw.randint(*_SIDES) / max(width, height)
        picture = page.render(scale=scale, grayscale=True).to_pil().convert("L")
        printed = printed_text(page, *picture.size)
        page.close()
        is_right = document.is_made_up or is_readable(printed.text)
        if is_right and printed.text and not word_runs(printed.text) & demo_runs():
            jpeg = _jpeg(picture, draw.choice(_QUALITIES))
            yield PageRow(document.kind, document.name, number, jpeg, printed)


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
