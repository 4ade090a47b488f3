"""What PDFium does not tell about a PDF: its real page tree, its units, and whether it is a folder.

A file is searched for the words that such things need, which costs next to nothing; only where they
are found, or where PDFium's count of the pages cannot be right, pypdf reads it.
"""

import io
import logging
import math
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    IndirectObject,
    NameObject,
    NullObject,
    NumberObject,
)

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its remarks on damaged files are not ours

_WORD = re.compile(
    rb"/(UserUnit|Collection|FileAttachment|FontFile|CIDFontType|Type3)(?=\b|[023]\b)"
    rb"|/Type\s*/(Page|FontDescriptor)\b"
)
_OBJECT_STREAM = re.compile(rb"/ObjStm\b[^\0]{0,2000}?\bstream\r?\n")
_MAX_UNPACKED_BYTES = 64 * 2**20  # of one object stream: more is an attack
_MAX_PAGES = 1_000_000  # as PDFium
# What pypdf lets through on damaged files, besides its own.
_PYPDF_ERRORS = (
    PyPdfError,
    DependencyError,  # a cipher that needs a package which is not installed
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Words:
    """How often a PDF holds the words that tell what PDFium does not.

    Attributes:
        num_page_objects: of the type page; more than there are pages when old ones were replaced,
            fewer when some do not say what they are, or cannot be read here, as when encrypted.
        has_user_unit: a page may have a unit other than a point.
        is_collection: it may be a portfolio, whose pages are in the files attached to it.
        has_attached: there may be files attached to its pages.
        may_lack_fonts: there are more fonts that need a file than files of fonts, or fonts that
            are drawn by pieces of the page description, which may not be there.
    """

    num_page_objects: int
    has_user_unit: bool
    is_collection: bool
    has_attached: bool
    may_lack_fonts: bool


@dataclass(frozen=True)
class Structure:
    """What pypdf reads.

    Attributes:
        num_pages: that the page tree really holds.
        is_portfolio: if files are attached to it, its pages are in them; what it shows is a cover.
        user_units: index of a page to points a unit, where that is not 1.
        update: bytes that, behind the file, make a flat page tree of it, with the right count;
            empty where none can be made.
    """

    num_pages: int
    is_portfolio: bool = False
    user_units: Mapping[int, float] = field(default_factory=dict)
    update: bytes = b""


def find_words(data: Any) -> Words:
    """Search a PDF, and what is compressed in its object streams; `data` are bytes or a mapping."""
    found = Counter(
        match[1] or match[2]
        for text in (data, *_object_streams(data))
        for match in _WORD.finditer(text)
    )
    num_fonts = max(found[b"FontDescriptor"], found[b"CIDFontType"])
    return Words(
        num_page_objects=found[b"Page"],
        has_user_unit=b"UserUnit" in found,
        is_collection=b"Collection" in found,
        has_attached=b"FileAttachment" in found,
        may_lack_fonts=num_fonts > found[b"FontFile"] or b"Type3" in found,
    )


def _object_streams(data: Any) -> Iterator[bytes]:
    """What the object streams hold that are packed as nearly all are; others stay unread."""
    for match in _OBJECT_STREAM.finditer(data):
        end = data.find(b"endstream", match.end())
        packed = data[match.end() : end if end >= 0 else len(data)]
        try:
            yield zlib.decompressobj().decompress(packed, _MAX_UNPACKED_BYTES)
        except zlib.error:
            continue


def read_structure(data: bytes) -> Structure | None:
    """What pypdf finds in a PDF; None when it cannot read it."""
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            reader.decrypt("")
        root = reader.root_object
        leaves = list(_leaves(root.raw_get("/Pages")))
        units = {index: _user_unit(page.get_object()) for index, page in enumerate(leaves)}
        return Structure(
            len(leaves),
            isinstance(root.get("/Collection", NullObject()).get_object(), DictionaryObject),
            {index: unit for index, unit in units.items() if unit != 1.0},
            _update(data, reader, leaves),
        )
    except _PYPDF_ERRORS:
        return None


def _leaves(tree: Any) -> Iterator[Any]:
    """The pages below a node, as they are referred to, in their order; no node is entered twice."""
    entered: set[tuple[int, int]] = set()
    waiting, num_pages = [tree], 0
    while waiting and num_pages < _MAX_PAGES:
        reference = waiting.pop()
        node = reference.get_object()
        if not isinstance(node, DictionaryObject):
            continue
        if "/Kids" not in node:
            num_pages += 1
            yield reference
            continue
        if isinstance(reference, IndirectObject):
            key = reference.idnum, reference.generation
            if key in entered:
                continue
            entered.add(key)
        kids = node["/Kids"].get_object()
        if isinstance(kids, ArrayObject):
            waiting += reversed(list(kids))


def _user_unit(page: Any) -> float:
    unit: Any = page.get("/UserUnit", 1)
    if isinstance(unit, IndirectObject):
        unit = unit.get_object()
    value = float(unit) if isinstance(unit, int | float) else 1.0
    return value if math.isfinite(value) and value > 0 else 1.0


def _update(data: bytes, reader: PdfReader, leaves: list[Any]) -> bytes:
    """What an editor would append for a change: a new root of the page tree, with all pages."""
    at = reader.root_object.raw_get("/Pages")
    before = re.findall(rb"startxref\s+(\d+)", data[-2_000:])
    is_referred_to = all(isinstance(leaf, IndirectObject) for leaf in [at, *leaves])
    if not (is_referred_to and leaves and before):
        return b""
    tree = DictionaryObject(at.get_object())
    tree[NameObject("/Kids")] = ArrayObject(leaves)
    tree[NameObject("/Count")] = NumberObject(len(leaves))
    tree.pop("/Parent", None)
    start = max(0, data.find(b"%PDF", 0, 1024))  # offsets count from here
    offset = len(data) - start + 1
    node = b"\n%d %d obj\n%s\nendobj\n" % (at.idnum, at.generation, _serialised(tree))
    table_at = offset - 1 + len(node)
    told: Any = reader.trailer["/Size"]
    size = max(int(told), at.idnum + 1)
    trailer = DictionaryObject({NameObject("/Prev"): NumberObject(int(before[-1]))})
    for key in ("/Root", "/Encrypt", "/ID"):
        if key in reader.trailer:
            trailer[NameObject(key)] = reader.trailer.raw_get(key)
    if data[start + int(before[-1]) :][:20].lstrip().startswith(b"xref"):
        trailer[NameObject("/Size")] = NumberObject(size)
        table = b"xref\n%d 1\n%010d %05d n \ntrailer\n" % (at.idnum, offset, at.generation)
        table += _serialised(trailer) + b"\n"
    else:
        entries = struct.pack(">BQHBQH", 1, offset, at.generation, 1, table_at, 0)
        numbers = [NumberObject(n) for n in (at.idnum, 1, size, 1)]
        trailer[NameObject("/Type")] = NameObject("/XRef")
        trailer[NameObject("/Size")] = NumberObject(size + 1)
        trailer[NameObject("/Index")] = ArrayObject(numbers)
        trailer[NameObject("/W")] = ArrayObject([NumberObject(n) for n in (1, 8, 2)])
        trailer[NameObject("/Length")] = NumberObject(len(entries))
        table = b"%d 0 obj\n%s\nstream\n" % (size, _serialised(trailer))
        table += entries + b"\nendstream\nendobj\n"
    return node + table + b"startxref\n%d\n%%%%EOF\n" % table_at


def _serialised(value: DictionaryObject) -> bytes:
    buffer = io.BytesIO()
    value.write_to_stream(buffer)
    return buffer.getvalue()
