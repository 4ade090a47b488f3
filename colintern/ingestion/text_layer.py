"""The text layer of a PDF's page, as PDFium reads it: what was typed, or what an OCR has left.

It is kept beside the picture, for baselines that read. It does not say what a page is.
"""

import re
import unicodedata

import pypdfium2 as pdfium

# Version of the rules: raise it when they change, so that --replace reads all texts again.
TEXT_RULES = 2
MAX_TEXT_CHARACTERS = 100_000  # about thirty dense pages; more is no page, and would cost memory
# A word that goes on in the next line: PDFium writes one of the first two for its hyphen.
_HYPHEN = re.compile("[\x02\ufffe\u00ad](?:\r?\n)?")
_LINE_END = re.compile("\r\n?")
# White space that is no plain one: tabs and feeds of lines and pages, separators, NEL.
_SPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
# What stands where a font does not say its letters, and what no text may hold.
_NO_LETTER = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffd\uffff]")


def text_layer(page: pdfium.PdfPage) -> str | None:
    """The text that stands on the shown part of a page; None where there is none to be read."""
    try:
        layer = page.get_textpage()
        text = layer.get_text_bounded()
        layer.close()
    except pdfium.PdfiumError:
        return None
    return cleaned(text)


def cleaned(text: str) -> str | None:
    """A text as it is kept: NFC, words whole that a line end had cut, no control characters.

    Returns:
        At most `MAX_TEXT_CHARACTERS`; None of white space only.
    """
    text = _HYPHEN.sub("", text[: 2 * MAX_TEXT_CHARACTERS])
    text = _NO_LETTER.sub("", _SPACE.sub(" ", _LINE_END.sub("\n", text)))
    return unicodedata.normalize("NFC", text)[:MAX_TEXT_CHARACTERS].strip() or None
