"""Which frames of a TIFF are pages."""

import numpy as np
import pytest

from colintern.images.decode import BadImageError, decode
from tests.images.helpers import PAGE, image_file
from tests.images.pictures import (
    tiff,
)

FRAMES = {
    "three pages": ([{}, {254: 2}, {254: 0}], [0, 1, 2]),
    "overviews behind": ([{254: 0}, {254: 1}, {254: 1}], [0]),
    "a thumbnail first": ([{254: 1}, {254: 2}, {254: 2}], [1, 2]),
    "overviews of each page": ([{254: 2}, {254: 3}, {254: 2}, {254: 3}], [0, 2]),
    "a mask": ([{254: 0}, {254: 4, 262: 4}], [0]),
    "a mask by its pixels alone": ([{}, {262: 4}, {}], [0, 2]),
    "the mask of an overview": ([{254: 0}, {254: 5, 262: 4}], [0]),
    "as it was before": ([{255: 1}, {255: 2}, {255: 3}], [0, 2]),
    "marked wrongly": ([{254: 1}, {254: 1}], [0, 1]),
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", FRAMES)
def test_only_pages_of_a_tiff_are_pages(name, order):
    """An overview that becomes a negative of its own page; a mask that loses the file."""
    tags, pages = FRAMES[name]
    frames = [
        (np.where(PAGE > 0, 10 * number + 200, PAGE).astype(np.uint8), {262: 1, **given})
        for number, given in enumerate(tags)
    ]
    file = image_file(tiff(*frames, order=order))
    assert file.num_pages() == len(pages)
    for page, frame in enumerate(pages):
        assert file.decode(page).getpixel((39, 0)) == (10 * frame + 200,) * 3
    with pytest.raises(BadImageError, match="no page"):
        file.decode(len(pages))


def test_a_chain_of_frames_that_is_damaged_costs_what_stands_behind():
    """Frames that nobody counted, silently; or a page lost for a frame that nobody needs."""
    data = tiff((PAGE, {262: 1}), (PAGE, {262: 1}))
    with pytest.raises(BadImageError, match="damaged"):
        image_file(data[:-20]).num_pages()
    assert decode(data[:-20]).size == (40, 30)


def test_frames_that_lead_back_end():
    """A scan of endless pages."""
    data = bytearray(tiff((PAGE, {262: 1})))
    data[-4:] = data[4:8]
    assert image_file(bytes(data)).num_pages() == 1
