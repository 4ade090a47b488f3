"""From 8-bit pixels to what the model sees, on the device that the model is on."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_NUM_LEVELS = 256


def pixel_table(image_processor: Any) -> Tensor:
    """What an image processor makes of each 8-bit value of each channel.

    Rescaling and normalising look at one pixel at a time. So one run over all 256 values gives
    every pixel of every page, bit for bit, whichever settings there are, and eight bits a pixel
    are decoded, kept and moved instead of 32.

    Args:
        image_processor: transformers' own, of the PIL backend.

    Returns:
        [3, 256], in the type that the image processor gives.
    """
    levels = np.arange(_NUM_LEVELS, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(np.stack([levels] * 3, axis=-1))
    found = image_processor(
        images=[picture], crop_to_patches=False, do_resize=False, return_tensors="pt"
    )
    return torch.as_tensor(found["pixel_values"])[0].reshape(3, _NUM_LEVELS)


def pixel_values(tile_N3HW: Tensor, table_3V: Tensor) -> Tensor:
    """Look up each pixel of some tiles.

    Args:
        tile_N3HW: uint8 tiles.
        table_3V: of `pixel_table`, on the same device.

    Returns:
        [N, 3, height, width] in the table's type.
    """
    value_N3HW = torch.empty(tile_N3HW.shape, dtype=table_3V.dtype, device=table_3V.device)
    for channel, table_V in enumerate(table_3V):  # one at a time: indexes take four bytes a pixel
        level_NHW = tile_N3HW[:, channel]
        found = table_V.index_select(0, level_NHW.reshape(-1).int())
        value_N3HW[:, channel] = found.view(level_NHW.shape)
    return value_N3HW
