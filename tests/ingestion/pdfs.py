"""Small PDFs, written by hand."""

import struct
import zlib

HELVETICA = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
# A Chinese font whose file is not in the PDF, and on no machine.
SONG = (
    "<</Type/Font/Subtype/Type0/BaseFont/NoSuchSong/Encoding/UniGB-UCS2-H/DescendantFonts[<<"
    "/Type/Font/Subtype/CIDFontType0/BaseFont/NoSuchSong/CIDSystemInfo<</Registry(Adobe)"
    "/Ordering(GB1)/Supplement 0>>/FontDescriptor<</Type/FontDescriptor/FontName/NoSuchSong"
    "/Flags 4/FontBBox[0 0 1000 1000]>>>>]>>"
)
HELLO = "BT /F1 20 Tf 20 10 Td (Hello) Tj ET "
CHINESE = "BT /F2 20 Tf 20 40 Td <4F60597D4E16754C> Tj ET "
FRAME = "5 5 190 90 re S "


def stream(text: str, keys: str = "") -> str:
    """A stream object."""
    return f"<<{keys}/Length {len(text)}>>stream\n{text}\nendstream"


def written(*objects: str) -> bytes:
    """A PDF of objects 1, 2, ...; the first is its catalog."""
    data, offsets = _body(dict(enumerate(objects, 1)))
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets.values())
    tail = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(data)}\n%%EOF\n"
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    return data + f"{head}{table}{tail}".encode()


def packed(*objects: str) -> bytes:
    """As `written`, with all but the streams in a compressed object stream, as since PDF 1.5."""
    inside = {n: text for n, text in enumerate(objects, 1) if "endstream" not in text}
    outside = {n: text for n, text in enumerate(objects, 1) if n not in inside}
    pairs, body = "", ""
    for number, text in inside.items():
        pairs += f"{number} {len(body)} "
        body += f"{text} "
    content = zlib.compress((pairs + body).encode())
    holder = len(objects) + 1
    data, offsets = _body(outside)
    offsets[holder] = len(data)
    keys = f"/Type/ObjStm/N {len(inside)}/First {len(pairs)}/Filter/FlateDecode"
    data += f"{holder} 0 obj<<{keys}/Length {len(content)}>>stream\n".encode() + content
    data += b"\nendstream\nendobj\n"
    start = len(data)
    offsets[holder + 1] = start
    entries = struct.pack(">BIH", 0, 0, 65_535)
    for number in range(1, holder + 2):
        position = list(inside).index(number) if number in inside else 0
        entry = (2, holder, position) if number in inside else (1, offsets[number], 0)
        entries += struct.pack(">BIH", *entry)
    keys = f"/Type/XRef/Size {holder + 2}/W[1 4 2]/Root 1 0 R/Length {len(entries)}"
    data += f"{holder + 1} 0 obj<<{keys}>>stream\n".encode() + entries
    return data + f"\nendstream\nendobj\nstartxref\n{start}\n%%EOF\n".encode()


def one_page(
    content: str = HELLO,
    *,
    box: str = "0 0 200 100",
    page: str = "",
    catalog: str = "",
    more: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """The objects of a PDF of one page; those in `more` are numbered from 7."""
    return (
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents 4 0 R"
        f"/Resources<</Font<</F1 5 0 R/F2 6 0 R>>>>{page}>>",
        stream(content),
        HELVETICA,
        SONG,
        *more,
    )


def tree(kids: str, count: int, *more: str) -> tuple[str, ...]:
    """The objects of a PDF with pages 3, 4 and 5, 100, 110 and 120 points wide.

    Object 8 is a node with pages 3 and 4, object 9 null; those in `more` are numbered from 10.
    """
    pages = (
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} 50]/Contents 6 0 R"
        "/Resources<</Font<</F1 7 0 R>>>>>>"
        for width in (100, 110, 120)
    )
    return (
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {count}>>",
        *pages,
        stream(HELLO),
        HELVETICA,
        "<</Type/Pages/Parent 2 0 R/Kids[3 0 R 4 0 R]/Count 2>>",
        "null",
        *more,
    )


def _body(objects: dict[int, str]) -> tuple[bytes, dict[int, int]]:
    data, offsets = b"%PDF-1.7\n", {}
    for number, text in objects.items():
        offsets[number] = len(data)
        data += f"{number} 0 obj\n{text}\nendobj\n".encode()
    return data, offsets
