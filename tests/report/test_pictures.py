"""The pictures in the report: readable, small, each once, and not too many."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from colintern.data.entities import Judgement, Page, Query
from colintern.data.writing import write_dataset
from colintern.report.pictures import LEFT_OUT, LONGER_SIDE, UNREADABLE, Pictures, data_uri


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _noise(seed: int, side: int = 64) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return _png(Image.fromarray(values))


def _folder(path, images: dict[str, bytes]) -> str:
    pages = [Page(page_id, image) for page_id, image in images.items()]
    query = Query("q", "question")
    write_dataset(str(path), pages, [query], [Judgement("q", pages[0].page_id, 1)])
    return str(path)


def _shown(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize(("colour", "is_grey"), [((90, 95, 88), True), ((200, 90, 90), False)])
def test_a_large_page_is_readable_and_grey_where_it_is_grey(colour, is_grey):
    """Thumbnails that nobody can read; three channels of a grey scan; a red page shown grey."""
    shown = _shown(data_uri(_png(Image.new("RGB", (1_700, 2_200), colour))))
    assert max(shown.size) == LONGER_SIDE
    red, green, blue = np.asarray(shown.convert("RGB"))[10, 10].tolist()
    assert (red == green == blue) == is_grey


def test_each_picture_stands_once_and_the_rest_is_counted(tmp_path):
    """A page of many questions stored for each of them; gigabytes of pictures."""
    folder = _folder(
        tmp_path / "data", {name: _noise(number) for number, name in enumerate("abcd")}
    )
    size = len(data_uri(_noise(0)))
    pictures = Pictures(most_bytes=int(2.5 * size))
    pictures.take(folder, ["a", "b", "a"])
    pictures.take(folder, ["b", "c", "d"])
    assert [pictures.key(folder, page) for page in "abcd"] == ["p0", "p1", "", ""]
    assert sum(map(len, pictures.uris.values())) <= int(2.5 * size)
    assert (pictures.num_left_out, pictures.why_missing(folder, "c")) == (2, LEFT_OUT)


def test_pages_of_two_datasets_with_one_id_are_two(tmp_path):
    """The training page `1` shown as the test page `1`."""
    folders = [_folder(tmp_path / name, {"1": _noise(seed)}) for seed, name in enumerate("ab")]
    pictures = Pictures()
    for folder in folders:
        pictures.take(folder, ["1"])
    assert len({pictures.uris[pictures.key(folder, "1")] for folder in folders}) == 2


def test_a_page_that_cannot_be_read_costs_itself_only(tmp_path):
    """A report without any picture because of one damaged page, or of a dataset that is gone."""
    folder = _folder(tmp_path / "data", {"a": b"damaged", "b": _noise(1)})
    pictures = Pictures()
    pictures.take(folder, ["a", "b", "gone"])
    pictures.take(str(tmp_path / "nowhere"), ["a"])
    assert pictures.key(folder, "b")
    for path, page_id in ((folder, "a"), (folder, "gone"), (str(tmp_path / "nowhere"), "a")):
        assert pictures.why_missing(path, page_id) == UNREADABLE
