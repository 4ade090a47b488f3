"""What stands in a shard for a token: its type and width, encoded when written, decoded when read.

Shapes: T tokens, P page tokens, Q query tokens, H backbone width, K numbers stored per token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from colintern.errors import ConfigError
from colintern.features.reduction import Reduction
from colintern.model.basis import BasisFile

if TYPE_CHECKING:
    from colintern.config.schema import FeaturesConfig
    from colintern.model.backbone import BackboneIdentity

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.int8}
_LARGEST = 127  # of int8; -128 is left out, so that a number and its negative are stored alike
_SCALE_BYTES = 4


@dataclass(frozen=True)
class StoredTokens:
    """Tokens as they stand in a shard.

    Attributes:
        values_TK: [T, K] in bfloat16, float16 or int8.
        scale_T: of int8, float32 [T]: what 1 stands for in a token; None of other types.
    """

    values_TK: Tensor
    scale_T: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values_TK)

    @property
    def is_finite(self) -> bool:
        """Whether every number is; the scale of an int8 token tells it of what was quantised."""
        told = self.values_TK if self.scale_T is None else self.scale_T
        return bool(told.isfinite().all())

    def decoded(self, device: str | torch.device = "cpu") -> Tensor:
        """The tokens as float32 [T, K] on `device`, where they are decoded: fewer bytes move."""
        token_TK = self.values_TK.to(device).float()
        if self.scale_T is not None:  # then it is a copy already
            token_TK *= self.scale_T.to(device)[:, None]
        return token_TK

    def room(self, num_tokens: int) -> StoredTokens:
        """Memory for as many tokens of this type and width, on the CPU; `put` fills it."""
        scale_T = None if self.scale_T is None else self.scale_T.new_empty(num_tokens)
        return StoredTokens(self.values_TK.new_empty(num_tokens, self.values_TK.shape[1]), scale_T)

    def put(self, start: int, part: StoredTokens) -> None:
        """Copy tokens of the same type and width to `start`."""
        end = start + len(part)
        self.values_TK[start:end] = part.values_TK
        if self.scale_T is not None and part.scale_T is not None:
            self.scale_T[start:end] = part.scale_T


@dataclass(frozen=True)
class Codec:
    """How a store keeps features; small, and can be sent to workers.

    Attributes:
        dtype: `features.dtype`.
        width: K.
        tile_tokens: rows and columns of tokens in one tile, as the backbone gives them.
        reduction: how the tokens of a page become fewer.
        basis: in which K coordinates are stored; None stores features as they are. To know sizes
            it need not be there.
    """

    dtype: str
    width: int
    tile_tokens: tuple[int, int]
    reduction: Reduction = field(default_factory=Reduction)
    basis: BasisFile | None = None

    @property
    def bytes_per_token(self) -> int:
        """Bytes that a token takes in a shard."""
        scale_bytes = _SCALE_BYTES if self.dtype == "int8" else 0
        return self.width * _DTYPES[self.dtype].itemsize + scale_bytes

    def num_tokens(self, rows: int, columns: int) -> int:
        """Stored tokens of a page that is cut into as many rows and columns of tiles."""
        tiles = rows * columns
        tiles += tiles > 1  # the thumbnail
        return self.reduction.num_tokens(tiles, self.tile_tokens)

    def encode_page(self, token_PH: Tensor) -> StoredTokens:
        """What is stored of a page; `is_finite` is false when it cannot be.

        Args:
            token_PH: the backbone's features, tile by tile, on the CPU.
        """
        return self._stored(self.reduction.reduced(token_PH, self.tile_tokens))

    def encode_query(self, token_QH: Tensor) -> StoredTokens:
        """What is stored of a query, of which every token is kept; see `encode_page`."""
        return self._stored(token_QH)

    def _stored(self, token_TH: Tensor) -> StoredTokens:
        token_TK = self.basis.basis.project(token_TH) if self.basis else token_TH
        assert token_TK.shape[1] == self.width, "tokens of another width than the store's"
        if self.dtype == "int8":
            return _quantised(token_TK.float())
        return StoredTokens(token_TK.to(_DTYPES[self.dtype]))


def codec_of(
    features: FeaturesConfig, backbone: BackboneIdentity, basis: BasisFile | None = None
) -> Codec:
    """How the stores of a configuration keep features.

    Args:
        features: the settings.
        backbone: whose features they are.
        basis: of `features.pca_dim`; without it sizes are known, but nothing can be encoded.

    Raises:
        ConfigError: `features.pca_dim` is larger than the width of the backbone.
    """
    check_pca_dim(features, backbone)
    return Codec(
        dtype=features.dtype,
        width=features.pca_dim or backbone.width,
        tile_tokens=backbone.tiles.token_grid,
        reduction=Reduction(features.merge, features.max_tokens_per_page),
        basis=basis,
    )


def check_pca_dim(features: FeaturesConfig, backbone: BackboneIdentity) -> None:
    """Make sure that features have as many numbers as are to be kept.

    Raises:
        ConfigError: they have fewer.
    """
    if features.pca_dim is not None and features.pca_dim > backbone.width:
        raise ConfigError(
            f"features.pca_dim={features.pca_dim}: must not be above {backbone.width}, the "
            "width of the backbone's features; set a smaller number, or null"
        )


def _quantised(token_TK: Tensor) -> StoredTokens:
    """Symmetric int8 with a scale per token, the largest magnitude / 127; rounds half to even.

    A number is off by at most half the scale, and by the rounding of float32, in which scales below
    1e-38 are coarse. A token of zeros has scale 0; one that is not finite has a scale that is not.
    """
    scale_T = token_TK.abs().amax(dim=1) / _LARGEST
    divisor_T = torch.where(scale_T > 0, scale_T, torch.ones_like(scale_T))
    values_TK = (token_TK / divisor_T[:, None]).round().clamp(-_LARGEST, _LARGEST)
    return StoredTokens(values_TK.nan_to_num().to(torch.int8), scale_T)
