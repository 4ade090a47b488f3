"""Pages as a browser gets them."""

import io

import numpy as np
import pytest
from PIL import Image

from colintern.retrieval.answers import Similarities
from colintern.retrieval.serving.pictures import MAX_HEAT_MAP_SIDE, heat_map, shown_page


def _file(size: tuple[int, int], kind: str = "PNG", colour: str = "white") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def _similarities(scores, boxes, thumbnails=None) -> Similarities:
    box_P4 = np.array(boxes, np.float32)
    is_thumbnail = np.array(thumbnails or [False] * len(boxes))
    score_QP = np.array(scores, np.float32)
    return Similarities(
        score_QP, ("a", "b")[: len(scores)], box_P4, is_thumbnail, tuple(box_P4[:, None])
    )


HALVES = [[0, 0, 50, 80], [50, 0, 100, 80]]


@pytest.mark.parametrize(
    ("kind", "media_type", "is_as_stored"),
    [
        ("PNG", "image/png", True),
        ("JPEG", "image/jpeg", True),
        ("WEBP", "image/webp", True),
        ("TIFF", "image/png", False),
        ("JPEG2000", "image/png", False),
    ],
)
def test_a_page_is_what_browsers_show(kind, media_type, is_as_stored):
    """An image that stays empty in every browser, or a type that nosniff refuses."""
    stored = _file((40, 30), kind)
    data, told = shown_page(stored)
    assert told == media_type
    assert (data == stored) is is_as_stored
    assert _opened(data).size == (40, 30)
    assert Image.MIME[_opened(data).format] == media_type


def test_a_smaller_page_keeps_its_shape():
    """Ten pages of 5 MB each for ten small pictures, or pictures that are stretched."""
    data, told = shown_page(_file((400, 1_200)), 100)
    assert (told, _opened(data).size) == ("image/jpeg", (100, 300))
    assert _opened(shown_page(_file((40, 30)), 100)[0]).size == (40, 30)


def test_the_part_that_fits_best_has_the_strongest_colour():
    """Colours that are turned over, shifted, or painted on the wrong token's place."""
    data = heat_map(_file((100, 80)), _similarities([[0.1, 0.9]], HALVES), None)
    picture = np.asarray(_opened(data)).astype(int)
    assert picture.shape == (80, 100, 3)
    assert (picture[:, :50] == 255).all()
    assert (picture[:, 50:] == picture[0, 99]).all()
    red, green, _ = picture[0, 99]
    assert red > 200 > green + 50


def test_a_word_has_a_map_of_its_own():
    """The same picture for every word of a question."""
    similarities = _similarities([[0.1, 0.9], [0.8, 0.2]], HALVES)
    left, right = (
        np.asarray(_opened(heat_map(_file((100, 80)), similarities, [token])))[0, 0, 1]
        for token in (1, 0)
    )
    assert left < right == 255
    both = np.asarray(_opened(heat_map(_file((100, 80)), similarities, None)))
    assert both[0, 99, 1] < both[0, 0, 1]  # 0.9 and 0.8


def test_the_thumbnail_colours_nothing():
    """One box over the whole page, which hides all others."""
    boxes = [*HALVES, [0, 0, 100, 80]]
    with_it = _similarities([[0.1, 0.5, 1.0]], boxes, [False, False, True])
    assert heat_map(_file((100, 80)), with_it, None) == heat_map(
        _file((100, 80)), _similarities([[0.1, 0.5]], HALVES), None
    )


def test_padding_colours_nothing_and_changes_no_colour():
    """A page that is pale all over because the word fits the white beside it best."""
    boxes = [*HALVES, [100, 0, 100, 80]]
    assert heat_map(_file((100, 80)), _similarities([[0.1, 0.5, 1.0]], boxes), None) == heat_map(
        _file((100, 80)), _similarities([[0.1, 0.5]], HALVES), None
    )


def test_a_large_page_becomes_a_picture_of_bounded_size():
    """A PNG of 30 MB for a page of a scanner; boxes that keep the size of the page."""
    similarities = _similarities([[0.1, 0.9]], [[0, 0, 1_500, 2_000], [1_500, 0, 3_000, 2_000]])
    picture = np.asarray(_opened(heat_map(_file((3_000, 2_000)), similarities, None)))
    assert picture.shape[:2] == (round(2_000 * MAX_HEAT_MAP_SIDE / 3_000), MAX_HEAT_MAP_SIDE)
    assert (picture[:, : MAX_HEAT_MAP_SIDE // 2] == 255).all()
    assert (picture[:, MAX_HEAT_MAP_SIDE // 2 :, 1] < 200).all()


def test_a_page_that_fits_everywhere_alike():
    """A division by zero, or a page that is all red."""
    data = heat_map(_file((100, 80)), _similarities([[0.5, 0.5]], HALVES), None)
    assert (np.asarray(_opened(data)) == 255).all()
