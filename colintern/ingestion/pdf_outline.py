"""A PDF before it is drawn: which of its pages load, and facts that PDFium does not give."""

import ctypes
import logging
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from colintern import storage
from colintern.errors import PathError
from colintern.images.decode import BadImageError
from colintern.ingestion.pdf_structure import Structure, Words, find_words, read_structure
from colintern.ingestion.sources import SourceFile

logging.getLogger("pypdfium2").setLevel(
    logging.ERROR
)  # its advice on how it could be built is of no use here

_DYNAMIC = re.compile(rb"<dynamicRender>\s*required")
_NOTICE = "please wait"  # "... If this message is not eventually replaced by the proper contents"
_SHOWN_NAMES = 5


@dataclass(frozen=True)
class Outline:
    """What must be known of a PDF before its pages are drawn.

    Attributes:
        indices: of the pages that load, as PDFium counts them.
        user_units: index of a page to points a unit, where that is not 1.
        update: bytes to append to the file, which repair its page tree.
        may_lack_fonts: letters are looked for on every page, and not only on blank ones.
        warnings: what the pages do not show, or what was repaired; a few words each.
    """

    indices: tuple[int, ...]
    user_units: Mapping[int, float]
    update: bytes
    may_lack_fonts: bool
    warnings: tuple[str, ...]


@lru_cache(maxsize=4)  # the parts of a document follow one another
def outline_of(file: SourceFile) -> Outline:
    """Look through a PDF; no page is drawn.

    Raises:
        BadImageError: the file is empty, damaged or encrypted, or does not show its real content.
    """
    with open_pdf(file) as document:
        num_told = len(document)
        indices = _loading(document)
        attached = _attachments(document)
        _check_no_dynamic_form(document)
    with _data_of(file) as data:
        words = find_words(data)
        # Old states of a page that was changed later are counted too: pypdf knows better.
        is_odd = len(indices) < num_told or words.num_page_objects != num_told
        structure = None
        if is_odd or words.has_user_unit or words.is_collection:
            structure = read_structure(bytes(data))
    if structure and structure.is_portfolio and attached:
        raise BadImageError(
            f"a portfolio: its pages are in the files attached to it ({attached}); "
            "save them as separate files"
        )
    warnings: list[str] = []
    if attached:
        warnings.append(f"files attached to it are not drawn: {attached}")
    elif words.has_attached:
        warnings.append("files attached to its pages are not drawn")
    return _with_pages(file, num_told, indices, structure, words, warnings)


def _with_pages(
    file: SourceFile,
    num_told: int,
    indices: tuple[int, ...],
    structure: Structure | None,
    words: Words,
    warnings: list[str],
) -> Outline:
    """The outline with all pages that can be reached, whatever the page tree says."""
    update = b""
    if structure and structure.num_pages < len(indices):
        structure = None  # PDFium has read a damaged file better than pypdf
    num_real = structure.num_pages if structure else len(indices)
    if num_real != num_told or len(indices) < num_told:
        lie = f"its page tree holds {num_real:,} pages, not {num_told:,} as it says"
        if num_real == num_told:
            lie = f"its page tree holds {num_real:,} pages, and some that are not there"
        if structure and structure.update:
            mended = _loading_with(file, structure.update)
            if len(mended) > len(indices) or mended == tuple(range(num_real)):
                indices, update = mended, structure.update
        lost = num_real - len(indices)
        warnings = [*warnings, f"{lie}{f', of which {lost:,} cannot be reached' if lost else ''}"]
    if not indices:
        raise BadImageError("no page in it can be read")
    units = structure.user_units if structure else {}
    may_lack_fonts = words.may_lack_fonts or words.num_page_objects < num_told  # not all was read
    return Outline(indices, units, update, may_lack_fonts, tuple(warnings))


def _loading_with(file: SourceFile, update: bytes) -> tuple[int, ...]:
    try:
        with open_pdf(file, update) as document:
            return _loading(document)
    except BadImageError:
        return ()


def _loading(document: pdfium.PdfDocument) -> tuple[int, ...]:
    """The pages that are there; their contents are not read."""
    size = pdfium_c.FS_SIZEF()
    return tuple(
        index
        for index in range(len(document))
        if pdfium_c.FPDF_GetPageSizeByIndexF(document, index, size)
    )


def _attachments(document: pdfium.PdfDocument) -> str:
    """The names of the files attached to a document, the first of them."""
    count = document.count_attachments()
    names = [document.get_attachment(n).get_name() for n in range(min(count, _SHOWN_NAMES))]
    return ", ".join(names) + (f" and {count - len(names):,} more" if count > len(names) else "")


def _check_no_dynamic_form(document: pdfium.PdfDocument) -> None:
    """Make sure that a PDF is no form that only Adobe's viewers lay out; others show a notice."""
    kind = document.get_formtype()
    if kind not in (pdfium_c.FORMTYPE_XFA_FULL, pdfium_c.FORMTYPE_XFA_FOREGROUND):
        return
    is_dynamic = kind == pdfium_c.FORMTYPE_XFA_FULL or _DYNAMIC.search(_form_packets(document))
    if is_dynamic or _NOTICE in _text_of(document, 0).casefold():
        raise BadImageError(
            "a dynamic XFA form, which only viewers of Adobe can show; print it into a PDF there"
        )


def _form_packets(document: pdfium.PdfDocument) -> bytes:
    packets = b""
    for number in range(pdfium_c.FPDF_GetXFAPacketCount(document)):
        length = ctypes.c_ulong()
        pdfium_c.FPDF_GetXFAPacketContent(document, number, None, 0, length)
        buffer = ctypes.create_string_buffer(length.value)
        pdfium_c.FPDF_GetXFAPacketContent(document, number, buffer, length.value, length)
        packets += buffer.raw
    return packets


def _text_of(document: pdfium.PdfDocument, index: int) -> str:
    try:
        page = document[index]
        text = page.get_textpage().get_text_range()
        page.close()
        return text
    except pdfium.PdfiumError:
        return ""


@contextmanager
def open_pdf(file: SourceFile, update: bytes = b"") -> Iterator[pdfium.PdfDocument]:
    """A PDF, with `update` appended.

    Raises:
        BadImageError: the file is empty, damaged or encrypted.
    """
    with _data_of(file) as data:
        is_file = storage.is_local(file.path) and not update
        with _document(file.path if is_file else bytes(data) + update) as document:
            yield document


@contextmanager
def _document(data: str | bytes) -> Iterator[pdfium.PdfDocument]:
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        is_locked = "password" in str(error).lower()
        reason = "encrypted: it opens with a password only" if is_locked else "damaged PDF"
        raise BadImageError(reason) from error
    try:
        document.init_forms()  # without this, what was typed into a form is not drawn
        yield document
    except pdfium.PdfiumError as error:
        raise BadImageError("damaged PDF") from error
    finally:
        document.close()


@contextmanager
def _data_of(file: SourceFile) -> Iterator[bytes | mmap.mmap]:
    """The bytes of a file, mapped into memory if it is local."""
    try:
        if not storage.is_local(file.path):
            yield _remote_bytes(file)
            return
        if not storage.size_of(file.path):
            raise BadImageError("empty file")
        with (
            storage.local_path(file.path).open("rb") as opened,
            mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            yield mapped
    except PathError as error:
        raise BadImageError(str(error)) from error
    except OSError as error:
        raise BadImageError(f"cannot be read ({error.strerror})") from error


@lru_cache(maxsize=1)
def _remote_bytes(file: SourceFile) -> bytes:
    """Fetched once for all steps that read the file."""
    return storage.read_bytes(file.path)
