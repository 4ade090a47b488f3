"""From files of every kind to a dataset: nothing is lost silently, one bad page costs that page."""

import io
import json
import os
import shutil
import struct
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colintern import storage
from colintern.config.schema import DatasetConfig
from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.data.resolve import find_source
from colintern.errors import DatasetError, LeaseLostError, TooManyBadPagesError
from colintern.images.decode import decode
from colintern.ingest import IngestSettings, RenderSettings, ingest, parts
from colintern.ingest.findings import BadItem
from colintern.ingest.parts import WrittenPage
from colintern.ingest.pool import Processes
from colintern.ingest.questions import read_questions
from tests.helpers import make_corpus, png
from tests.images.pictures import encoded, grey_profile, tiff


def _noise(seed: int, width: int = 60, height: int = 80) -> Image.Image:
    return Image.open(io.BytesIO(png(seed, width, height)))


def _blocks(seed: int) -> Image.Image:
    """A picture that survives a PDF's compression."""
    return _noise(seed, 6, 8).resize((60, 80), Image.Resampling.NEAREST)


def _pdf(path: Path, *seeds: int) -> None:
    first, *others = [_blocks(seed) for seed in seeds]
    first.save(path, "PDF", save_all=True, append_images=others, resolution=72)


def _locked_pdf() -> bytes:
    """A PDF whose password nobody knows."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
        b"3 0 obj<</Filter/Standard/V 1/R 2/P -4/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">>>"
        b"endobj\ntrailer<</Root 1 0 R/Encrypt 3 0 R/ID[<0011><0011>]/Size 4>>\n%%EOF\n"
    )


def _png_of_zeros(width: int, height: int, *, only_header: bool = False) -> bytes:
    """A one-bit PNG, made without a picture in memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    if only_header:
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")
    packer = zlib.compressobj(1)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _ingest(*sources: Path, out: Path, **keys):
    return ingest([str(path) for path in sources], str(out), IngestSettings(**keys))


def _pages(out: Path) -> dict:
    files = CanonicalDataset(str(out)).corpus_files
    return {page.page_id: page for file in files for _, page in iterate_pages(file)}


def test_pdfs_and_pictures_become_pages(tmp_path, worker_processes):
    """A page without its document, a frame of a TIFF that is lost, a PDF drawn at another size."""
    source = tmp_path / "in"
    (source / "sub folder").mkdir(parents=True)
    _pdf(source / "sub folder" / "größe 1.pdf", 1, 2, 3)
    (source / "a.png").write_bytes(png(4))
    frames = [_noise(seed) for seed in (5, 6)]
    frames[0].save(source / "b.tiff", save_all=True, append_images=frames[1:])
    _noise(7).save(source / "c.webp", lossless=True)
    (source / "notes.txt").write_text("not a page")
    (source / "std::map.png").write_bytes(png(8))
    report = _ingest(source, out=tmp_path / "out", render=RenderSettings(dpi=144))
    pages = _pages(tmp_path / "out")
    assert list(pages) == [
        "a.png",
        "b.tiff#0001",
        "b.tiff#0002",
        "c.webp",
        "std::map.png",
        "sub folder/größe 1.pdf#0001",
        "sub folder/größe 1.pdf#0002",
        "sub folder/größe 1.pdf#0003",
    ]
    assert (report.pages, report.documents, report.bad) == (8, 5, [])
    assert pages["a.png"].image == png(4)  # untouched
    assert {page.doc_id for page in pages.values()} == {
        "a.png",
        "b.tiff",
        "c.webp",
        "std::map.png",
        "sub folder/größe 1.pdf",
    }
    drawn = decode(pages["sub folder/größe 1.pdf#0002"].image)
    assert drawn.size == (120, 160)  # 60 x 80 points at twice 72 dpi
    shown = np.asarray(drawn.resize((60, 80), Image.Resampling.BOX), dtype=float)
    right, wrong = (np.asarray(_blocks(seed), dtype=float) for seed in (2, 3))
    assert np.abs(shown - right).mean() < 0.5 * np.abs(shown - wrong).mean()
    assert np.array_equal(np.asarray(decode(pages["b.tiff#0002"].image)), np.asarray(frames[1]))


def test_pictures_of_every_mode(tmp_path):
    """A page that is all white, all black, on its side, or black on black."""
    source = tmp_path / "in"
    source.mkdir()
    ramp = np.linspace(0, 65_535, 40 * 30, dtype=np.uint16).reshape(40, 30)
    Image.fromarray(ramp).save(source / "16 bits.png")
    Image.fromarray((ramp / 65_535).astype(np.float32)).save(source / "float.tif")
    _noise(1).convert("CMYK").save(source / "cmyk.jpg", quality=95)
    _noise(2).convert("L").save(source / "grey.png")
    _noise(3).convert("P").save(source / "palette.png")
    clear = Image.new("RGBA", (30, 40), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (5, 5, 10, 10))
    clear.save(source / "clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    _noise(4).save(source / "turned.jpg", exif=exif)
    report = _ingest(source, out=tmp_path / "out")
    assert (report.pages, report.bad) == (7, [])
    pictures = {name: decode(page.image) for name, page in _pages(tmp_path / "out").items()}
    for name in ("16 bits.png", "float.tif"):
        low, high = pictures[name].convert("L").getextrema()
        assert (low, high) == (0, 255), name
    assert pictures["clear.png"].getpixel((0, 0)) == (255, 255, 255)
    assert pictures["clear.png"].getpixel((7, 7)) == (0, 0, 0)
    assert pictures["turned.jpg"].size == (80, 60)
    assert {picture.mode for picture in pictures.values()} == {"RGB"}


def test_every_bad_file_has_a_reason_and_the_rest_goes_on(tmp_path):
    """One damaged file among thousands that stops an ingest, or that vanishes without a word."""
    source = tmp_path / "in"
    source.mkdir()
    _pdf(source / "good.pdf", 1, 2)
    (source / "empty.pdf").touch()
    (source / "empty.png").touch()
    (source / "locked.pdf").write_bytes(_locked_pdf())
    (source / "damaged.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (source / "half.png").write_bytes(png(3, 60, 60)[:4_000])
    (source / "claims.png").write_bytes(_png_of_zeros(100_000, 100_000, only_header=True))
    (source / "huge.png").write_bytes(_png_of_zeros(30_000, 30_000))
    (source / "text.png").write_text("this is no picture")
    (source / "line.png").write_bytes(_png_of_zeros(1, 10_000))
    Image.new("RGB", (50, 50), "white").save(source / "blank.png")
    (tmp_path / "secret.png").write_bytes(png(9))
    (source / "link.png").symlink_to(tmp_path / "secret.png")
    (source / "links").symlink_to(tmp_path)
    report = _ingest(source, out=tmp_path / "out")
    reasons = {item.name: item.reason for item in report.bad}
    wanted = {
        "blank.png": "blank",
        "claims.png": "too large",
        "damaged.pdf": "damaged",
        "empty.pdf": "empty",
        "empty.png": "empty",
        "half.png": "damaged",
        "huge.png": "too large (more than 100,000,000 pixels",
        "line.png": "too narrow",
        "link.png": "leads out of the folder",
        "links": "a link to a folder",
        "locked.pdf": "encrypted",
        "text.png": "not an image",
    }
    assert list(reasons) == sorted(wanted)
    for name, words in wanted.items():
        assert words in reasons[name], (name, reasons[name])
    assert list(_pages(tmp_path / "out")) == ["good.pdf#0001", "good.pdf#0002"]
    document = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert len(document["refused"]) == len(wanted)
    assert document["pages"] == 2
    with pytest.raises(TooManyBadPagesError, match=r"85\.7%.*--max-bad-fraction=0\.5"):
        _ingest(source, out=tmp_path / "out", max_bad_fraction=0.5)
    (source / "good.pdf").unlink()
    with pytest.raises(TooManyBadPagesError, match="no page could be written"):
        _ingest(source, out=tmp_path / "out")


def test_a_damaged_tiff_is_a_reason_wherever_it_is_cut(tmp_path):
    """An exception of Pillow's that nobody thought of ends the ingest."""
    frames = [_noise(seed) for seed in (1, 2, 3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    whole = buffer.getvalue()
    source = tmp_path / "in"
    source.mkdir()
    for cut in range(0, len(whole), len(whole) // 150):
        (source / f"{cut:06d}.tif").write_bytes(whole[:cut])
    (source / "whole.tif").write_bytes(whole)
    report = _ingest(source, out=tmp_path / "out")
    assert {name for name in _pages(tmp_path / "out") if "whole" in name} == {
        f"whole.tif#000{number}" for number in (1, 2, 3)
    }
    assert len(report.bad) >= 150


def test_a_tiff_of_many_frames_is_cut_into_parts(tmp_path, monkeypatch):
    """All frames of a scan of a thousand sheets in memory, or lost behind a damaged one."""
    monkeypatch.setattr("colintern.ingest.parts._PAGES_PER_PART", 4)
    source = tmp_path / "in"
    source.mkdir()
    frames = [_noise(seed) for seed in range(1, 10)]
    keys = {"save_all": True, "append_images": frames[1:], "compression": "tiff_lzw"}
    frames[0].save(source / "scan.tif", **keys)
    data = bytearray((source / "scan.tif").read_bytes())
    with Image.open(source / "scan.tif") as image:
        image.seek(5)
        offset = image.tag_v2[273][0]  # where the pixels of the sixth frame stand
    data[offset : offset + 2_000] = b"\xff" * 2_000
    (source / "scan.tif").write_bytes(data)
    report = _ingest(source, out=tmp_path / "out")
    assert [(item.name, item.page) for item in report.bad] == [("scan.tif", 6)]
    assert len(list((tmp_path / "out" / "corpus").iterdir())) == 3
    pages = _pages(tmp_path / "out")
    assert list(pages) == [f"scan.tif#{number:04d}" for number in (1, 2, 3, 4, 5, 7, 8, 9)]
    for number in (5, 7, 9):
        shown = np.asarray(decode(pages[f"scan.tif#{number:04d}"].image))
        assert np.array_equal(shown, np.asarray(frames[number - 1]))


def test_a_tiff_whose_first_frame_is_a_thumbnail_costs_that_frame(tmp_path):
    """A scan of two hundred pages lost to the tiny picture before them."""
    small, page = Image.new("RGB", (3, 3)), Image.effect_noise((64, 64), 50)
    small.save(tmp_path / "scan.tif", save_all=True, append_images=[page])
    report = ingest([str(tmp_path / "scan.tif")], str(tmp_path / "out"), IngestSettings())
    assert report.pages == 1
    assert [(item.page, item.reason) for item in report.bad] == [(1, "too narrow (3 x 3 pixels)")]


def test_overviews_and_masks_are_no_pages(tmp_path):
    """The same page once more, small, as a negative of itself; and every later number wrong."""
    source = tmp_path / "in"
    source.mkdir()
    first, second = (np.asarray(_noise(seed).convert("L")) for seed in (1, 2))
    small = {254: 1, 262: 1}
    frames = [(first[::8, ::8], small), (first, {262: 1}), (second, {262: 1}), (second, small)]
    (source / "scan.tif").write_bytes(tiff(*frames))
    (source / "one.tif").write_bytes(tiff((first, {262: 1}), (first > 99, {254: 4, 262: 4})))
    report = _ingest(source, out=tmp_path / "out")
    pages = _pages(tmp_path / "out")
    assert (list(pages), report.bad) == (["one.tif", "scan.tif#0001", "scan.tif#0002"], [])
    shown = np.asarray(decode(pages["scan.tif#0002"].image).convert("L"))
    assert np.array_equal(shown, second)


def test_bytes_stay_only_where_all_readers_see_what_we_encode(tmp_path):
    """A corpus whose pages others see in other colours, or squashed; a profile applied twice."""
    source = tmp_path / "in"
    source.mkdir()
    files = {
        "fax.jpg": encoded(_noise(1), "JPEG", dpi=(204, 98)),
        "linear.png": encoded(_noise(2).convert("L"), icc_profile=grey_profile(1.0)),
        "plain.png": encoded(_noise(3), dpi=(300, 300)),
    }
    for name, data in files.items():
        (source / name).write_bytes(data)
    _ingest(source, out=tmp_path / "out")
    pages = {name: page.image for name, page in _pages(tmp_path / "out").items()}
    assert {name for name in files if pages[name] == files[name]} == {"plain.png"}
    for name, data in files.items():
        kept = Image.open(io.BytesIO(pages[name]))
        assert "icc_profile" not in kept.info
        assert np.array_equal(np.asarray(kept), np.asarray(decode(data))), name


def test_a_tiff_under_another_name_loses_no_frame(tmp_path):
    """The first frame taken for all of the file."""
    (tmp_path / "in").mkdir()
    frames = [_noise(seed) for seed in (1, 2)]
    frames[0].save(tmp_path / "in" / "two.png", "TIFF", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in" / "one.png", "TIFF")
    report = _ingest(tmp_path / "in", out=tmp_path / "out")
    assert list(_pages(tmp_path / "out")) == ["one.png"]
    assert [item.name for item in report.bad] == ["two.png"]
    assert "name that ends in .tif" in report.bad[0].reason


def test_equal_pages_are_told(tmp_path):
    """The same page in two files, which nobody notices until a search shows it twice."""
    for name in ("a.png", "b.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(png(1))
    (tmp_path / "in" / "c.png").write_bytes(png(2))
    report = _ingest(tmp_path / "in", out=tmp_path / "out")
    assert report.pages == 3
    assert report.duplicates == [["a.png", "b.png"]]


QUERIES = [
    {"query": "what is one", "file": "doc.pdf", "page": 1},
    {"query": " WHAT is one ", "file": "doc.pdf", "page": 2},
    {"query": "where is <img> or <IMG_CONTEXT>", "id": "doc.pdf#0002"},
    {"query": "", "file": "doc.pdf", "page": 1},
    {"query": "x" * 100_000, "file": "doc.pdf", "page": 1},
    {"query": "lost", "file": "doc.pdf", "page": 9},
    {"query": "picture", "file": "p.png"},
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_questions_find_their_pages(tmp_path, kind):
    """A question on another page, or dropped without a word."""
    (tmp_path / "in").mkdir()
    _pdf(tmp_path / "in" / "doc.pdf", 1, 2)
    (tmp_path / "in" / "p.png").write_bytes(png(3))
    path = tmp_path / f"q.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in QUERIES))
    else:
        lines = [
            ",".join(f'"{row.get(name, "")}"' for name in ("query", "file", "page", "id"))
            for row in QUERIES
        ]
        path.write_text("query,file,page,id\n" + "\n".join(lines))
    report = _ingest(tmp_path / "in", out=tmp_path / "out", queries=str(path))
    dataset = CanonicalDataset(str(tmp_path / "out"))
    dataset.check()
    texts = {query.query_id: query.text for query in dataset.queries()}
    assert {texts[name]: set(pages) for name, pages in dataset.judgements().items()} == {
        "what is one": {"doc.pdf#0001", "doc.pdf#0002"},
        "where is <img> or <IMG_CONTEXT>": {"doc.pdf#0002"},
        "picture": {"p.png"},
    }
    reasons = [(item.name.split(" of ")[0], item.reason) for item in report.bad_queries]
    assert [name for name, _ in reasons] == ["query 4", "query 5", "query 6"]
    for words, (_, reason) in zip(("empty", "100,000 characters", "page 9"), reasons, strict=True):
        assert words in reason


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("q.csv", "question,page\nx,1", "needs query"),
        ("q.jsonl", '\n{"query": "x"}', "line 2: needs query"),
        ("q.jsonl", "{not json", "line 1: is not JSON"),
        ("q.txt", "x", "ends in .csv or .jsonl"),
        ("q.csv", "query,file\n", "holds no query"),
        ("q.jsonl", "", "holds no query"),
        ("q.csv", 'query,file\n"never closed,p.png\nx,p.png', "unexpected end of data; correct"),
        ("q.csv", "query,file\ngr\udcf6\udcdfe,p.png", "is not UTF-8"),
    ],
)
def test_a_bad_queries_file_is_one_line(tmp_path, name, text, words):
    """A KeyError after an hour of rendering."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p.png").write_bytes(png(3))
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=words):
        _ingest(tmp_path / "in", out=tmp_path / "out", queries=str(tmp_path / name))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bom.csv", b"\xef\xbb\xbfquery,file,page\nwhat,p.png,1\n"),
        ("semicolons.csv", b"Query;File;Page\nwhat;p.png;1\n"),
        ("tabs.csv", b"query\tfile\tpage\nwhat\tp.png\t1.0\n"),
        ("spaces.csv", b"query, file, page\nwhat, p.png, \n"),
    ],
)
def test_queries_files_as_spreadsheets_write_them(tmp_path, name, data):
    """A file refused because of how a German spreadsheet writes it."""
    (tmp_path / name).write_bytes(data)
    page = WrittenPage("p.png", "p.png", 1, "")
    queries, judgements, bad = read_questions(str(tmp_path / name), [page])
    assert [query.text for query in queries] == ["what"]
    assert ([found.page_id for found in judgements], bad) == (["p.png"], [])


COMPOSED, APART = "gr\u00f6\u00dfe.pdf", "gro\u0308\u00dfe.pdf"


@pytest.mark.parametrize("stored", [COMPOSED, APART])
@pytest.mark.parametrize("asked", [COMPOSED, APART])
def test_names_are_equal_however_a_system_writes_them(tmp_path, stored, asked):
    """All questions on files with an umlaut lost, as the queries were written on another system."""
    pages = [WrittenPage(f"{stored}#{n:04d}", stored, n, "") for n in (1, 2)]
    rows = [{"query": "a", "file": asked, "page": 2}, {"query": "b", "id": f"{asked}#0001"}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    queries, judgements, bad = read_questions(str(tmp_path / "q.jsonl"), pages)
    texts = {query.query_id: query.text for query in queries}
    assert {texts[found.query_id]: found.page_id for found in judgements} == {
        "a": f"{stored}#0002",
        "b": f"{stored}#0001",
    }
    assert bad == []


def test_of_two_names_that_look_alike_the_exact_one_is_meant(tmp_path):
    """A question on the other of two files, or on whichever comes first."""
    pages = [WrittenPage(name, name, 1, name) for name in (COMPOSED, APART)]
    mixed = "o\u0308\u00f6.pdf"
    pages += [
        WrittenPage(name, name, 1, name) for name in ("\u00f6\u00f6.pdf", "o\u0308o\u0308.pdf")
    ]
    rows = [{"query": name, "file": name} for name in (COMPOSED, APART, mixed)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, judgements, bad = read_questions(str(tmp_path / "q.jsonl"), pages)
    # The texts are equal after NFC, so both judge for one query.
    assert {found.page_id for found in judgements} == {COMPOSED, APART}
    assert [found.reason for found in bad] == [f"its page is not in the dataset: {mixed}, page 1"]


def test_odd_rows_of_a_queries_file_have_a_reason(tmp_path):
    """A row that ends the ingest in a traceback after the work, or lands on another page."""
    rows = [
        '{"query": "a", "file": "p.png", "page": 0}',
        '{"query": "a", "file": "p.png", "page": 1.7}',
        '{"query": "a", "file": "p.png", "page": true}',
        '{"query": "a", "file": null}',
        '{"query": "a"}',
        '{"query": "a\\ud800b", "file": "p.png"}',
        '{"query": "a", "file": "\\ud800.png"}',
        '{"query": "a", "file": "p.png", "score": 1e400}',
        '{"query": "a", "file": "p.png", "score": 1e12}',
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(rows))
    (tmp_path / "q.csv").write_text("query,file\nwhat, then,p.png\nwhat\n")
    page = WrittenPage("p.png", "p.png", 1, "")
    found = [read_questions(str(tmp_path / name), [page]) for name in ("q.jsonl", "q.csv")]
    assert not any(queries for queries, _, _ in found)
    assert [item.reason for _, _, bad in found for item in bad] == [
        "its page is not in the dataset: p.png, page 0",
        "its page is not a number: 1.7",
        "its page is not a number: True",
        "it names no page",
        "it names no page",
        "it holds half a character (a lone surrogate)",
        "it holds half a character (a lone surrogate)",
        "its score is not a whole number up to 1,000,000: inf",
        "its score is not a whole number up to 1,000,000: 1000000000000.0",
        "it has more values than there are columns: put quotes around its commas",
        "it names no page",
    ]


def test_a_name_with_a_line_break_stays_in_its_line():
    """A file's name that writes lines of its own into the report, or commands the terminal."""
    line = BadItem("a\nb\x1b[2J ü.png", 3, "blank").line()
    assert line == "a\\nb\\x1b[2J ü.png, page 3: blank"


def test_a_killed_ingest_goes_on_and_a_changed_source_is_read_again(tmp_path, monkeypatch):
    """Pages rendered twice after a kill or of a file as it was before, or half of them read.

    Or kept, as an earlier version has drawn them.
    """
    monkeypatch.setattr("colintern.ingest.parts._PAGES_PER_PART", 4)
    source = tmp_path / "in"
    source.mkdir()
    for number in range(10):
        (source / f"{number}.png").write_bytes(png(number + 1))
    written = []

    def dies_after_two(self, function, work, seconds):
        for part in work:
            if len(written) == 2:  # no PDF is among the sources: all work is parts
                raise KeyboardInterrupt
            written.append(part.path)
            yield part, function(part)

    with monkeypatch.context() as patch:
        patch.setattr(Processes, "each", dies_after_two)
        with pytest.raises(KeyboardInterrupt):
            _ingest(source, out=tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()
    dataset = DatasetConfig.model_validate(str(tmp_path / "out"))
    unfinished = rf"{tmp_path}/out: its ingest .* run the same 'colintern ingest \.\.\. --out"
    with pytest.raises(DatasetError, match=unfinished):
        find_source(dataset, str(tmp_path / "made"))
    times = {path: os.stat(path).st_mtime_ns for path in written}
    _ingest(source, out=tmp_path / "out")
    assert {path: os.stat(path).st_mtime_ns for path in written} == times
    assert len(_pages(tmp_path / "out")) == 10
    assert find_source(dataset, str(tmp_path / "made")).folder == str(tmp_path / "out")
    rules = parts._DRAWING_RULES + 1
    monkeypatch.setattr(parts, "_DRAWING_RULES", rules)
    _ingest(source, out=tmp_path / "out")
    assert not any(os.path.exists(path) for path in written)  # drawn by older rules
    (source / "0.png").write_bytes(png(99, 40, 40))
    _ingest(source, out=tmp_path / "out")
    assert _pages(tmp_path / "out")["0.png"].image == png(99, 40, 40)
    assert len(list((tmp_path / "out" / "corpus").iterdir())) == 3


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
    places = []
    for number, text in enumerate(objects, 1):
        places.append(len(data))
        data += f"{number} 0 obj{text}endobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    tail = f"trailer<</Size 6/Root 1 0 R>>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + f"xref\n0 6\n0000000000 65535 f \n{table}{tail}".encode()


def test_what_is_typed_into_a_form_is_drawn(tmp_path):
    """A filled-in form that becomes an empty one."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "form.pdf").write_bytes(_form())
    (tmp_path / "in" / "empty.pdf").write_bytes(_form().replace(b"(Kettle)", b"()      "))
    report = _ingest(tmp_path / "in", out=tmp_path / "out")
    assert [item.line() for item in report.bad] == [
        "empty.pdf, page 1: blank: every pixel has the same colour"
    ]
    filled = np.asarray(decode(_pages(tmp_path / "out")["form.pdf#0001"].image).convert("L"))
    assert (filled < 64).sum() > 100  # the letters


def test_what_is_not_ours_is_not_touched(tmp_path):
    """A folder overwritten because of a typing mistake."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "..%2f..%2fevil.png").write_bytes(png(1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="not empty"):
        _ingest(tmp_path / "in", out=tmp_path / "out")
    with pytest.raises(DatasetError, match="must not be in the source"):
        _ingest(tmp_path / "in", out=tmp_path / "in" / "out")
    before = {path for path in tmp_path.rglob("*") if "fresh" not in path.parts}
    _ingest(tmp_path / "in", out=tmp_path / "fresh")
    assert {path for path in tmp_path.rglob("*") if "fresh" not in path.parts} == before
    with pytest.raises(DatasetError, match="no such file or folder"):
        _ingest(tmp_path / "gone", out=tmp_path / "other")
    twice = [str(tmp_path / "in"), os.path.relpath(tmp_path / "in")]
    with pytest.raises(DatasetError, match="in: is given twice"):
        ingest(twice, str(tmp_path / "other"), IngestSettings())
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DatasetError, match="no PDF and no picture"):
        _ingest(tmp_path / "nothing", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("last", ["ingest.json", "part-00000", "part-00002", "queries", "qrels"])
@pytest.mark.parametrize("kind", ["files", "dataset"])
def test_an_ingest_that_was_taken_over_commits_nothing_more(tmp_path, monkeypatch, kind, last):
    """Two ingests into one folder, the one that woke up writing over what the other has written."""
    monkeypatch.setattr("colintern.ingest.parts._PAGES_PER_PART", 2)
    monkeypatch.setattr("colintern.data.writing._PAGES_PER_FILE", 2)
    source, out = tmp_path / "in", tmp_path / "out"
    make_corpus(source, num_pages=6, num_queries=2)
    if kind == "files":
        for page in range(6):
            (source / f"{page}.png").write_bytes(png(page + 1))
        for folder in ("corpus", "queries", "qrels"):
            shutil.rmtree(source / folder)
        (tmp_path / "q.csv").write_text("query,file\nwhat is one?,1.png\n")
    write, writing, after = storage.write_bytes, storage.writing, []

    def lose(path: str) -> None:
        if (out / "lease-000002.json").exists():
            after.append(path)
        elif last in path:
            (lost,) = out.glob("lease-*.json")
            lost.rename(out / "lease-000002.json")

    def write_and_lose(path: str, data: bytes) -> None:
        write(path, data)
        lose(path)

    @contextmanager
    def writing_and_lose(path: str):
        with writing(path) as file:
            yield file
        lose(path)

    for module in (storage, storage.saving):
        monkeypatch.setattr(module, "write_bytes", write_and_lose)
        monkeypatch.setattr(module, "writing", writing_and_lose)
    settings = IngestSettings(queries=str(tmp_path / "q.csv") if kind == "files" else None)
    with pytest.raises(LeaseLostError, match="taken over"):
        ingest([str(source)], str(out), settings)
    allowed = ["qrels"] if last == "queries" else []  # both are written after one look
    assert [path.split("/")[-2] for path in after] == allowed
    assert not (out / "dataset.json").exists()
