"""PDFs that tell one thing and show another: every page, under its number, or a reason."""

import json
import logging

import numpy as np
import pytest

from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.images.decode import decode
from colintern.ingestion import IngestSettings, RenderSettings, Report, ingest
from tests.ingestion.helpers import pages_in, run_ingest
from tests.ingestion.pdfs import (
    CHINESE,
    FRAME,
    HELLO,
    one_page,
    packed,
    stream,
    tree,
    written,
)


def _ingested(tmp_path, data: bytes, **keys) -> tuple[Report, dict]:
    """The report, and the pages as pictures."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.pdf").write_bytes(data)
    settings = IngestSettings(render=RenderSettings(**{"dpi": 72, **keys}), num_processes=1)
    report = ingest([str(tmp_path / "in")], str(tmp_path / "out"), settings)
    files = CanonicalDataset(str(tmp_path / "out")).corpus_files
    pages = [page for file in files for _, page in iterate_pages(file)]
    return report, {page.page_id: decode(page.image) for page in pages}


TREES = {
    "a count that is too small": ("3 0 R 4 0 R 5 0 R", 1, [100, 110, 120]),
    "a count that is far too large": ("3 0 R", 20_000, [100]),
    "a null, counted": ("3 0 R null 5 0 R", 3, [100, 120]),
    "a null, not counted": ("3 0 R null 5 0 R", 2, [100, 120]),
    "a reference to null": ("9 0 R 4 0 R 5 0 R", 3, [110, 120]),
    "a reference to nothing": ("3 0 R 99 0 R 5 0 R", 2, [100, 120]),
    "a node counted as one page": ("8 0 R 5 0 R", 2, [100, 110, 120]),
    "a page that occurs twice": ("3 0 R 3 0 R", 1, [100, 100]),
    "a tree that holds itself": ("2 0 R 3 0 R", 2, [100]),
}


@pytest.mark.parametrize("write", [written, packed])
@pytest.mark.parametrize("kind", TREES)
def test_a_page_tree_that_lies_loses_no_page_and_moves_none(tmp_path, kind, write):
    """Pages lost behind a wrong count, 19,999 bad, or page 3 under the number 2."""
    kids, count, widths = TREES[kind]
    report, pages = _ingested(tmp_path, write(*tree(kids, count)))
    assert [(name, page.width) for name, page in pages.items()] == [
        (f"x.pdf#{number:04d}", width) for number, width in enumerate(widths, 1)
    ]
    assert [(found.name, found.page, found.is_warning) for found in report.bad] == [
        ("x.pdf", None, True)
    ]
    assert f"its page tree holds {len(widths)} pages" in report.bad[0].reason
    assert report.bad_fraction == 0.0
    assert "0 bad   1 warnings" in report.lines()[1]
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["refused"]


@pytest.mark.parametrize("write", [written, packed])
def test_pages_that_do_not_say_so_are_counted(tmp_path, write):
    """The last page lost behind a wrong count, as no page says of itself that it is one."""
    objects = (text.replace("/Type/Page/", "/") for text in tree("3 0 R 4 0 R 5 0 R", 2))
    report, pages = _ingested(tmp_path, write(*objects))
    assert [page.width for page in pages.values()] == [100, 110, 120]
    assert [found.is_warning for found in report.bad] == [True]


@pytest.mark.parametrize("write", [written, packed])
@pytest.mark.parametrize("kids", ["3 0 R 4 0 R 5 0 R", "8 0 R 5 0 R"])
def test_a_page_tree_that_is_right_has_no_warning(tmp_path, kids, write):
    """Every document suspected."""
    report, pages = _ingested(tmp_path, write(*tree(kids, 3)))
    assert [page.width for page in pages.values()] == [100, 110, 120]
    assert report.bad == []


def test_a_document_without_a_page_has_a_reason(tmp_path):
    """A file that vanishes between the sources and the dataset."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.pdf").write_bytes(written(*one_page()))
    (tmp_path / "in" / "none.pdf").write_bytes(written(*tree("null null", 2)))
    report = ingest([str(tmp_path / "in")], str(tmp_path / "out"), IngestSettings())
    assert [found.line() for found in report.bad] == ["none.pdf: no page in it can be read"]


@pytest.mark.parametrize("write", [written, packed])
@pytest.mark.parametrize(
    ("unit", "size"),
    [("7.2", (1440, 720)), ("7 0 R", (400, 200)), ("0", (200, 100)), ("1", (200, 100))],
)
def test_a_page_is_as_large_as_its_unit_says(tmp_path, unit, size, write):
    """A plan of ten metres drawn as large as a stamp."""
    objects = one_page(page=f"/UserUnit {unit}", more=("2",))
    report, pages = _ingested(tmp_path, write(*objects))
    assert (pages["x.pdf#0001"].size, report.bad) == (size, [])


@pytest.mark.parametrize("wrong", ["(3)", "[2 2]", "-2", "99 0 R"])
def test_a_unit_that_is_no_number_is_that_of_its_page_alone(tmp_path, wrong):
    """A large plan drawn small, as the page before it has a damaged unit."""
    first, second = "/MediaBox[0 0 100 ", "/MediaBox[0 0 110 "
    objects = (
        text.replace(first, f"/UserUnit {wrong}{first}").replace(second, f"/UserUnit 2{second}")
        for text in tree("3 0 R 4 0 R 5 0 R", 3)
    )
    report, pages = _ingested(tmp_path, written(*objects))
    assert [page.width for page in pages.values()] == [100, 220, 120]
    assert report.bad == []


@pytest.mark.parametrize(
    ("box", "page", "size"),
    [
        ("0 0 100 40000", "", (163, 65_000)),  # a JPEG's side ends at 65,500 pixels
        ("0 0 40000 100", "", (65_000, 163)),
        ("0 0 2000 2000", "/UserUnit 1000000", (4_472, 4_472)),
        ("0 0 0 0", "", (1_224, 1_584)),  # a letter page, as viewers take it
        ("0 0 nan 1e40", "", (1_224, 1_584)),
    ],
)
def test_a_page_beyond_all_measure_is_drawn_smaller(tmp_path, box, page, size):
    """One strip among good files that ends the whole ingest, and names no file."""
    content = "0 0 20 40 re f 0 0 90 20 re f"
    data = written(*one_page(content, box=box, page=page))
    report, pages = _ingested(tmp_path, data, dpi=144)
    assert report.bad == []
    found = pages["x.pdf#0001"].size
    assert np.allclose(found, size, atol=1), found


def test_a_page_that_cannot_be_written_costs_that_page(tmp_path, monkeypatch):
    """An error of the encoder's that ends the ingest."""
    monkeypatch.setattr(RenderSettings, "shrinking", lambda *_: 1.0)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.pdf").write_bytes(written(*one_page()))
    content = "0 0 20 40 re f"
    (tmp_path / "in" / "strip.pdf").write_bytes(written(*one_page(content, box="0 0 100 40000")))
    report = ingest([str(tmp_path / "in")], str(tmp_path / "out"), IngestSettings())
    assert report.pages == 1
    line = report.bad[0].line()
    assert line.startswith("strip.pdf, page 1: cannot be written as JPEG (200 x 80,000 pixels: ")


FORMS = {
    "dynamic": ("/NeedsRendering true/AcroForm<</Fields[]/XFA 7 0 R>>", HELLO, "<xdp/>"),
    "dynamic by its packet": (
        "/AcroForm<</Fields[]/XFA[(config) 7 0 R]>>",
        HELLO,
        "<config><dynamicRender>required</dynamicRender></config>",
    ),
    "dynamic by its notice": (
        "/AcroForm<</Fields[]/XFA 7 0 R>>",
        "BT /F1 9 Tf 9 9 Td (Please wait... If this message is not eventually) Tj ET",
        "<xdp/>",
    ),
}


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_that_only_its_makers_viewer_shows_is_refused(tmp_path, kind, caplog):
    """Three pages of `please wait` among the negatives, and advice on how to build PDFium."""
    catalog, content, packet = FORMS[kind]
    objects = one_page(content, catalog=catalog, more=(stream(packet),))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "form.pdf").write_bytes(written(*objects))
    (tmp_path / "in" / "good.pdf").write_bytes(written(*one_page()))
    with caplog.at_level(logging.DEBUG):
        report = ingest([str(tmp_path / "in")], str(tmp_path / "out"), IngestSettings())
    assert [found.name for found in report.bad] == ["form.pdf"]
    assert "a dynamic XFA form" in report.bad[0].reason
    assert "XFA" not in caplog.text


def test_a_form_that_has_pages_of_its_own_is_drawn(tmp_path):
    """A tax form lost because it could be filled in elsewhere, too."""
    catalog = "/AcroForm<</Fields[]/XFA 7 0 R>>"
    report, pages = _ingested(
        tmp_path, written(*one_page(catalog=catalog, more=(stream("<xdp/>"),)))
    )
    assert (list(pages), report.bad) == (["x.pdf#0001"], [])


ATTACHED = (
    "<</Type/Filespec/F(plan.pdf)/UF(plan.pdf)/EF<</F 8 0 R>>>>",
    stream("abc", "/Type/EmbeddedFile"),
)
NAMES = "/Names<</EmbeddedFiles<</Names[(plan.pdf) 7 0 R]>>>>"


@pytest.mark.parametrize("write", [written, packed])
def test_files_attached_are_named(tmp_path, write):
    """Half of what a document holds left out without a word."""
    report, pages = _ingested(tmp_path, write(*one_page(catalog=NAMES, more=ATTACHED)))
    assert list(pages) == ["x.pdf#0001"]
    assert [found.line() for found in report.bad] == [
        "x.pdf: files attached to it are not drawn: plan.pdf"
    ]
    assert report.bad_fraction == 0.0


def test_files_attached_to_a_page_are_named(tmp_path):
    """A pin on a page, with a drawing behind it."""
    pin = "/Annots[<</Type/Annot/Subtype/FileAttachment/Rect[1 1 9 9]/FS 7 0 R>>]"
    report, _ = _ingested(tmp_path, written(*one_page(page=pin, more=ATTACHED)))
    assert [found.reason for found in report.bad] == ["files attached to its pages are not drawn"]


@pytest.mark.parametrize("catalog", ["/Collection null", "/Collection<</View/D>>"])
def test_a_portfolio_without_files_is_a_document(tmp_path, catalog):
    """Pages refused for files that are not there."""
    report, pages = _ingested(tmp_path, written(*one_page(catalog=catalog)))
    assert (len(pages), report.bad) == (1, [])


@pytest.mark.parametrize("write", [written, packed])
def test_a_portfolio_is_refused(tmp_path, write):
    """Its cover, which says that another viewer is needed, as a page."""
    (tmp_path / "in").mkdir()
    objects = one_page(catalog=f"/Collection<</View/D>>{NAMES}", more=ATTACHED)
    (tmp_path / "in" / "folder.pdf").write_bytes(write(*objects))
    (tmp_path / "in" / "good.pdf").write_bytes(write(*one_page()))
    report = ingest([str(tmp_path / "in")], str(tmp_path / "out"), IngestSettings())
    assert [found.line() for found in report.bad] == [
        "folder.pdf: a portfolio: its pages are in the files attached to it (plan.pdf); save them "
        "as separate files"
    ]


@pytest.mark.parametrize(
    ("content", "is_page", "words"),
    [
        (CHINESE, False, "none of its letters are drawn"),
        (CHINESE + FRAME, False, "none of its letters are drawn"),
        (CHINESE + HELLO, True, "56% of its letters are drawn"),
        (HELLO + FRAME, True, None),
        ("1 g " + HELLO, False, "blank"),  # white on white is meant
        ("1 g " + HELLO + FRAME, True, None),
        ("3 Tr " + HELLO + FRAME, True, None),  # what was read on a scan
        ("BT /F1 0.5 Tf 20 10 Td (small print) Tj ET", True, None),
        ("BT /F1 20 Tf 900 10 Td (outside) Tj ET " + FRAME, True, None),
    ],
)
def test_letters_that_are_not_drawn_are_told(tmp_path, content, is_page, words):
    """A page without its text, as its font is not there, taken for whole, or refused as blank."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.pdf").write_bytes(written(*one_page()))
    (tmp_path / "in" / "x.pdf").write_bytes(written(*one_page(content)))
    report = ingest([str(tmp_path / "in")], str(tmp_path / "out"), IngestSettings(num_processes=1))
    assert report.pages == 1 + is_page
    assert [(found.name, found.page, found.is_warning) for found in report.bad] == (
        [("x.pdf", 1, is_page)] if words else []
    )
    assert not words or words in report.bad[0].reason


@pytest.mark.parametrize("turn", ["/Rotate 90", "/Rotate 270/CropBox[10 5 190 60]"])
def test_letters_are_looked_for_where_they_stand(tmp_path, turn):
    """Pages refused because they are on their side."""
    report, pages = _ingested(tmp_path, written(*one_page(HELLO, page=turn)))
    assert (list(pages), report.bad) == (["x.pdf#0001"], [])


def _form() -> bytes:
    """A page with nothing on it but a text field that somebody has filled in."""
    objects = [
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/NeedAppearances true"
        "/DA(/Helv 24 Tf 0 g)/DR<</Font<</Helv 5 0 R>>>>>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Annots[4 0 R]>>",
        "<</Type/Annot/Subtype/Widget/FT/Tx/F 4/T(name)/V(Kettle)/Rect[10 10 190 60]/P 3 0 R"
        "/DA(/Helv 24 Tf 0 g)>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data = b"%PDF-1.7\n"
    starts = []
    for number, text in enumerate(objects, 1):
        starts.append(len(data))
        data += f"{number} 0 obj{text}endobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in starts)
    tail = f"trailer<</Size 6/Root 1 0 R>>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + f"xref\n0 6\n0000000000 65535 f \n{table}{tail}".encode()


def test_what_is_typed_into_a_form_is_drawn(tmp_path):
    """A filled-in form that becomes an empty one."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "form.pdf").write_bytes(_form())
    (tmp_path / "in" / "empty.pdf").write_bytes(_form().replace(b"(Kettle)", b"()      "))
    report = run_ingest(tmp_path / "in", out=tmp_path / "out")
    assert [item.line() for item in report.bad] == [
        "empty.pdf, page 1: blank: every pixel has the same colour"
    ]
    filled = np.asarray(decode(pages_in(tmp_path / "out")["form.pdf#0001"].image).convert("L"))
    assert (filled < 64).sum() > 100  # the letters
