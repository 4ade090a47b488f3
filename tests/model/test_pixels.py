"""A table of 256 values is all that rescaling and normalising do, bit by bit."""

import numpy as np
import pytest
import torch
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from colintern.model.pixels import pixel_table, pixel_values
from tests.model.twins import IMAGE_PROCESSOR

_UNEVEN = {"image_mean": [0.1, 0.5, 0.9], "image_std": [0.3, 0.2, 0.1]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "settings",
    [
        IMAGE_PROCESSOR,
        _UNEVEN,
        {"rescale_factor": 1 / 127.5},
        {"do_rescale": False},
        {"do_normalize": False},
        {"do_rescale": False, "do_normalize": False},
    ],
)
def test_pixels_are_transformers_own(settings, dtype):
    """Features that differ in their last bits, or by far, from those of the float32 path."""
    images = GotOcr2ImageProcessorPil(**(IMAGE_PROCESSOR | settings))
    draw = np.random.default_rng(0)
    tiles = draw.integers(0, 256, (5, 3, 40, 24), dtype=np.uint8)
    options = {"do_resize": False, "crop_to_patches": False, "return_tensors": "pt"}
    expected = torch.as_tensor(images(images=list(tiles), **options)["pixel_values"])
    found = pixel_values(torch.from_numpy(tiles), pixel_table(images).to(dtype))
    assert found.dtype == dtype
    assert torch.equal(found, expected.to(dtype))
    assert len(found.unique()) >= 256 // 2
