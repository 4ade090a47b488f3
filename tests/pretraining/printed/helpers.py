"""Typed pages, and a tokenizer that knows their words."""

from pathlib import Path

import pypdfium2 as pdfium
from transformers import PreTrainedTokenizerFast

from pretraining.printed.pages import Document, PageRow, pages_of
from pretraining.tokens import train_tokenizer
from tests.ingestion.pdfs import one_page, written

LINES = tuple(
    f"the {first} of the {second} is in the valley {number} and not on the {third} hill"
    for number, (first, second, third) in enumerate(
        zip(
            "lantern kettle harbour meadow orchard saddle".split(),
            "miller sailor farmer weaver potter tailor".split(),
            "silent broken golden narrow hidden wooden".split(),
            strict=True,
        )
    )
)


def typed_pdf(path: Path, lines: tuple[str, ...] = LINES, size: int = 12) -> Path:
    """A page of 600 x 700 points with lines of text in Helvetica."""
    text = " ".join(
        f"BT /F1 {size} Tf 40 {640 - 20 * number} Td ({line}) Tj ET"
        for number, line in enumerate(lines)
    )
    path.write_bytes(written(*one_page(text, box="0 0 600 700")))
    return path


def typed_page(folder: Path) -> PageRow:
    """The page of such a file, as pages are kept."""
    path = typed_pdf(folder / "typed.pdf")
    (page,) = pages_of(Document(path, "typed", "manual"))
    return page


def opened(path: Path) -> pdfium.PdfPage:
    """The first page of a file."""
    return pdfium.PdfDocument(path)[0]


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of the lines."""
    return train_tokenizer(LINES * 4, 400)
