"""The sizes of the published model that is advised for real pages, known without its files.

So a plan can tell what it would take before anybody downloads it.
"""

from types import SimpleNamespace

from PIL import Image

from colintern.model.backbone import BackboneIdentity
from colintern.model.flops import backbone_flops
from colintern.model.processor import TilePlanner
from colintern.model.tiles import Tiler

_TILE, _PATCH, _DOWNSAMPLE = 448, 14, 0.5
_TOKENS_A_SIDE = int(_TILE // _PATCH * _DOWNSAMPLE)
# As its config.json has them.
_VISION = SimpleNamespace(
    hidden_size=1_024,
    intermediate_size=4_096,
    num_hidden_layers=24,
    num_channels=3,
    image_size=(_TILE, _TILE),
    patch_size=(_PATCH, _PATCH),
)
_TEXT = SimpleNamespace(
    hidden_size=896,
    intermediate_size=4_864,
    num_hidden_layers=24,
    num_attention_heads=14,
    num_key_value_heads=2,
)
_SIZES = SimpleNamespace(vision_config=_VISION, text_config=_TEXT, downsample_ratio=_DOWNSAMPLE)


def internvl3_1b(max_tiles: int, prompt_tokens: int, pad_to_grid: bool = False) -> BackboneIdentity:
    """InternVL3-1B as far as a plan asks; it cannot be loaded, and its hash is empty.

    Args:
        max_tiles: `backbone.max_tiles`.
        prompt_tokens: tokens beside a page's image tokens.
        pad_to_grid: `backbone.pad_to_grid`.
    """
    token_grid = _TOKENS_A_SIDE, _TOKENS_A_SIDE
    tiles = TilePlanner(_TILE, _TILE, token_grid, max_tiles, pad_to_grid)
    return BackboneIdentity(
        checkpoint_sha256="",
        width=_TEXT.hidden_size,
        tiles=tiles,
        tiler=Tiler(_TILE, _TILE, max_tiles, Image.Resampling.BICUBIC, pad_to_grid),
        joins_prefix=False,
        flops=backbone_flops(_SIZES, tiles.tokens_per_tile, prompt_tokens),
    )
