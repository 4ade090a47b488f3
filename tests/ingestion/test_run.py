"""An ingest from its sources to the finished folder: bad files, kills, takeovers."""

import io
import json
import os
import shutil
import struct
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from colintern import storage
from colintern.config.schema import DatasetConfig
from colintern.data.resolve import find_source
from colintern.errors import DatasetError, LeaseLostError, TooManyBadPagesError
from colintern.images.decode import decode
from colintern.ingestion import IngestSettings, RenderSettings, ingest, parts
from colintern.ingestion.pool import Processes
from tests.helpers import make_corpus, png
from tests.ingestion.helpers import blocks, noise, pages_in, pdf, run_ingest


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


def test_pdfs_and_pictures_become_pages(tmp_path, worker_processes):
    """A page without its document, a frame of a TIFF that is lost, a PDF drawn at another size."""
    source = tmp_path / "in"
    (source / "sub folder").mkdir(parents=True)
    pdf(source / "sub folder" / "größe 1.pdf", 1, 2, 3)
    (source / "a.png").write_bytes(png(4))
    frames = [noise(seed) for seed in (5, 6)]
    frames[0].save(source / "b.tiff", save_all=True, append_images=frames[1:])
    noise(7).save(source / "c.webp", lossless=True)
    (source / "notes.txt").write_text("not a page")
    (source / "std::map.png").write_bytes(png(8))
    report = run_ingest(source, out=tmp_path / "out", render=RenderSettings(dpi=144))
    pages = pages_in(tmp_path / "out")
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
    right, wrong = (np.asarray(blocks(seed), dtype=float) for seed in (2, 3))
    assert np.abs(shown - right).mean() < 0.5 * np.abs(shown - wrong).mean()
    assert np.array_equal(np.asarray(decode(pages["b.tiff#0002"].image)), np.asarray(frames[1]))


def test_every_bad_file_has_a_reason_and_the_rest_goes_on(tmp_path):
    """One damaged file among thousands that stops an ingest, or that vanishes without a word."""
    source = tmp_path / "in"
    source.mkdir()
    pdf(source / "good.pdf", 1, 2)
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
    report = run_ingest(source, out=tmp_path / "out")
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
    assert list(pages_in(tmp_path / "out")) == ["good.pdf#0001", "good.pdf#0002"]
    document = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert len(document["refused"]) == len(wanted)
    assert document["pages"] == 2
    with pytest.raises(TooManyBadPagesError, match=r"85\.7%.*--max-bad-fraction=0\.5"):
        run_ingest(source, out=tmp_path / "out", max_bad_fraction=0.5)
    (source / "good.pdf").unlink()
    with pytest.raises(DatasetError, match=r"2 pages of good\.pdf would go"):
        run_ingest(source, out=tmp_path / "out")
    with pytest.raises(TooManyBadPagesError, match="no page could be written"):
        run_ingest(source, out=tmp_path / "out", replace=True)
    assert list(pages_in(tmp_path / "out")) == ["good.pdf#0001", "good.pdf#0002"]
    assert find_source(DatasetConfig.model_validate(str(tmp_path / "out")), "made").write is None


def test_libraries_write_nothing_between_our_lines(tmp_path, worker_processes, capfd):
    """`Using code not yet in table` of libtiff, or a warning of Pillow's, for a damaged file."""
    (tmp_path / "in").mkdir()
    for number in range(3):
        frame = io.BytesIO()
        noise(number + 1).save(frame, "TIFF", compression="tiff_lzw")
        data = bytearray(frame.getvalue())
        start = (16, len(data) // 2, len(data) - 200)[number]  # in the pixels, and in the tags
        data[start : start + 150] = b"\xa5" * 150
        (tmp_path / "in" / f"{number}.tif").write_bytes(data)
    (tmp_path / "in" / "good.png").write_bytes(png(9))
    report = run_ingest(tmp_path / "in", out=tmp_path / "out")
    assert report.bad
    assert capfd.readouterr() == ("", "")


def test_a_killed_ingest_goes_on_and_a_changed_source_is_read_again(tmp_path, monkeypatch):
    """Pages rendered twice after a kill or of a file as it was before, or half of them read.

    Or kept, as an earlier version has drawn them.
    """
    monkeypatch.setattr("colintern.ingestion.parts._PAGES_PER_PART", 4)
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
            run_ingest(source, out=tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()
    dataset = DatasetConfig.model_validate(str(tmp_path / "out"))
    unfinished = rf"{tmp_path}/out: its ingest .* run the same 'colintern ingest \.\.\. --out"
    with pytest.raises(DatasetError, match=unfinished):
        find_source(dataset, str(tmp_path / "made"))
    times = {path: os.stat(path).st_mtime_ns for path in written}
    run_ingest(source, out=tmp_path / "out")
    assert {path: os.stat(path).st_mtime_ns for path in written} == times
    assert len(pages_in(tmp_path / "out")) == 10
    assert find_source(dataset, str(tmp_path / "made")).folder == str(tmp_path / "out")
    rules = parts._DRAWING_RULES + 1
    monkeypatch.setattr(parts, "_DRAWING_RULES", rules)
    run_ingest(source, out=tmp_path / "out", replace=True)
    assert not any(os.path.exists(path) for path in written)  # drawn by older rules
    (source / "0.png").write_bytes(png(99, 40, 40))
    with pytest.raises(DatasetError, match=r"1 page of 0\.png would be drawn again, as the files"):
        run_ingest(source, out=tmp_path / "out")
    run_ingest(source, out=tmp_path / "out", replace=True)
    assert pages_in(tmp_path / "out")["0.png"].image == png(99, 40, 40)
    assert len(list((tmp_path / "out" / "corpus").iterdir())) == 3


def test_what_is_not_ours_is_not_touched(tmp_path):
    """A folder overwritten because of a typing mistake."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "..%2f..%2fevil.png").write_bytes(png(1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="not empty"):
        run_ingest(tmp_path / "in", out=tmp_path / "out")
    with pytest.raises(DatasetError, match="must not be in the source"):
        run_ingest(tmp_path / "in", out=tmp_path / "in" / "out")
    before = {path for path in tmp_path.rglob("*") if "fresh" not in path.parts}
    run_ingest(tmp_path / "in", out=tmp_path / "fresh")
    assert {path for path in tmp_path.rglob("*") if "fresh" not in path.parts} == before
    with pytest.raises(DatasetError, match="no such file or folder"):
        run_ingest(tmp_path / "gone", out=tmp_path / "other")
    twice = [str(tmp_path / "in"), os.path.relpath(tmp_path / "in")]
    with pytest.raises(DatasetError, match="in: is given twice"):
        ingest(twice, str(tmp_path / "other"), IngestSettings())
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DatasetError, match="no PDF and no picture"):
        run_ingest(tmp_path / "nothing", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("last", ["ingest.json", "part-00000", "part-00002", "queries", "qrels"])
@pytest.mark.parametrize("kind", ["files", "dataset"])
def test_an_ingest_that_was_taken_over_commits_nothing_more(tmp_path, monkeypatch, kind, last):
    """Two ingests into one folder, the one that woke up writing over what the other has written."""
    monkeypatch.setattr("colintern.ingestion.parts._PAGES_PER_PART", 2)
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
