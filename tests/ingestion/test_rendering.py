"""Pictures become pages, each frame as a viewer shows it."""

import io

import numpy as np
from PIL import Image

from colintern.images.decode import decode
from colintern.ingestion import IngestSettings, ingest
from tests.images.pictures import encoded, grey_profile, tiff
from tests.ingestion.helpers import noise, pages_in, run_ingest


def test_pictures_of_every_mode(tmp_path):
    """A page that is all white, all black, on its side, or black on black."""
    source = tmp_path / "in"
    source.mkdir()
    ramp = np.linspace(0, 65_535, 40 * 30, dtype=np.uint16).reshape(40, 30)
    Image.fromarray(ramp).save(source / "16 bits.png")
    Image.fromarray((ramp / 65_535).astype(np.float32)).save(source / "float.tif")
    noise(1).convert("CMYK").save(source / "cmyk.jpg", quality=95)
    noise(2).convert("L").save(source / "grey.png")
    noise(3).convert("P").save(source / "palette.png")
    clear = Image.new("RGBA", (30, 40), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (5, 5, 10, 10))
    clear.save(source / "clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(4).save(source / "turned.jpg", exif=exif)
    report = run_ingest(source, out=tmp_path / "out")
    assert (report.pages, report.bad) == (7, [])
    pictures = {name: decode(page.image) for name, page in pages_in(tmp_path / "out").items()}
    for name in ("16 bits.png", "float.tif"):
        low, high = pictures[name].convert("L").getextrema()
        assert (low, high) == (0, 255), name
    assert pictures["clear.png"].getpixel((0, 0)) == (255, 255, 255)
    assert pictures["clear.png"].getpixel((7, 7)) == (0, 0, 0)
    assert pictures["turned.jpg"].size == (80, 60)
    assert {picture.mode for picture in pictures.values()} == {"RGB"}


def test_a_damaged_tiff_is_a_reason_wherever_it_is_cut(tmp_path):
    """An exception of Pillow's that nobody thought of ends the ingest."""
    frames = [noise(seed) for seed in (1, 2, 3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    whole = buffer.getvalue()
    source = tmp_path / "in"
    source.mkdir()
    for cut in range(0, len(whole), len(whole) // 150):
        (source / f"{cut:06d}.tif").write_bytes(whole[:cut])
    (source / "whole.tif").write_bytes(whole)
    report = run_ingest(source, out=tmp_path / "out")
    assert {name for name in pages_in(tmp_path / "out") if "whole" in name} == {
        f"whole.tif#000{number}" for number in (1, 2, 3)
    }
    assert len(report.bad) >= 150


def test_a_tiff_of_many_frames_is_cut_into_parts(tmp_path, monkeypatch):
    """All frames of a scan of a thousand sheets in memory, or lost behind a damaged one."""
    monkeypatch.setattr("colintern.ingestion.parts._PAGES_PER_PART", 4)
    source = tmp_path / "in"
    source.mkdir()
    frames = [noise(seed) for seed in range(1, 10)]
    keys = {"save_all": True, "append_images": frames[1:], "compression": "tiff_lzw"}
    frames[0].save(source / "scan.tif", **keys)
    data = bytearray((source / "scan.tif").read_bytes())
    with Image.open(source / "scan.tif") as image:
        image.seek(5)
        offset = image.tag_v2[273][0]  # where the pixels of the sixth frame stand
    data[offset : offset + 2_000] = b"\xff" * 2_000
    (source / "scan.tif").write_bytes(data)
    report = run_ingest(source, out=tmp_path / "out")
    assert [(item.name, item.page) for item in report.bad] == [("scan.tif", 6)]
    assert len(list((tmp_path / "out" / "corpus").iterdir())) == 3
    pages = pages_in(tmp_path / "out")
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
    first, second = (np.asarray(noise(seed).convert("L")) for seed in (1, 2))
    small = {254: 1, 262: 1}
    frames = [(first[::8, ::8], small), (first, {262: 1}), (second, {262: 1}), (second, small)]
    (source / "scan.tif").write_bytes(tiff(*frames))
    (source / "one.tif").write_bytes(tiff((first, {262: 1}), (first > 99, {254: 4, 262: 4})))
    report = run_ingest(source, out=tmp_path / "out")
    pages = pages_in(tmp_path / "out")
    assert (list(pages), report.bad) == (["one.tif", "scan.tif#0001", "scan.tif#0002"], [])
    shown = np.asarray(decode(pages["scan.tif#0002"].image).convert("L"))
    assert np.array_equal(shown, second)


def test_bytes_stay_only_where_all_readers_see_what_we_encode(tmp_path):
    """A corpus whose pages others see in other colours, or squashed; a profile applied twice."""
    source = tmp_path / "in"
    source.mkdir()
    files = {
        "fax.jpg": encoded(noise(1), "JPEG", dpi=(204, 98)),
        "linear.png": encoded(noise(2).convert("L"), icc_profile=grey_profile(1.0)),
        "plain.png": encoded(noise(3), dpi=(300, 300)),
    }
    for name, data in files.items():
        (source / name).write_bytes(data)
    run_ingest(source, out=tmp_path / "out")
    pages = {name: page.image for name, page in pages_in(tmp_path / "out").items()}
    assert {name for name in files if pages[name] == files[name]} == {"plain.png"}
    for name, data in files.items():
        kept = Image.open(io.BytesIO(pages[name]))
        assert "icc_profile" not in kept.info
        assert np.array_equal(np.asarray(kept), np.asarray(decode(data))), name


def test_a_tiff_under_another_name_loses_no_frame(tmp_path):
    """The first frame taken for all of the file."""
    (tmp_path / "in").mkdir()
    frames = [noise(seed) for seed in (1, 2)]
    frames[0].save(tmp_path / "in" / "two.png", "TIFF", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in" / "one.png", "TIFF")
    report = run_ingest(tmp_path / "in", out=tmp_path / "out")
    assert list(pages_in(tmp_path / "out")) == ["one.png"]
    assert [item.name for item in report.bad] == ["two.png"]
    assert "name that ends in .tif" in report.bad[0].reason
