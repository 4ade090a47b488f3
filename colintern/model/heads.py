"""The two projections that learn: query tokens and page tokens into one embedding space."""

import json
import math
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from colintern import storage
from colintern.config.schema import HeadsConfig
from colintern.errors import CheckpointError, one_line

WEIGHTS = "heads.safetensors"
INFO = "colintern.json"
_EPS = 1e-12
_BLOCK_TOKENS = 1_024


class BackboneInfo(BaseModel):
    """The backbone that heads were trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    revision: str | None
    layer: int | Literal["projector"]


class HeadsInfo(BaseModel):
    """What stands beside the weights in `colintern.json`: all that is needed to use them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    backbone: BackboneInfo
    features_width: int
    dim: int
    kind: Literal["linear", "mlp"]
    shared: bool
    page_prompt: str
    query_prefix: str
    query_augmentation_tokens: int
    max_tiles: int
    pca: None = None
    stores: dict[str, str]


class Heads(nn.Module):
    """Projects backbone features [T, H] to embeddings [T, E], L2-normalised, float32.

    Args:
        kind: `linear`, or `mlp` with one hidden layer of the backbone's width and exact GELU.
        width: H.
        dim: E.
        shared: one projection for queries and pages.
    """

    def __init__(self, kind: str, width: int, dim: int, shared: bool) -> None:
        super().__init__()
        self.dim = dim
        if shared:
            self.shared = _projection(kind, width, dim)
        else:
            self.query = _projection(kind, width, dim)
            self.page = _projection(kind, width, dim)
        self._is_shared = shared

    def embed_queries(self, token_TH: Tensor) -> Tensor:
        """Embed query tokens: [T, H] float32 to [T, E]."""
        return _normalised((self.shared if self._is_shared else self.query)(token_TH))

    def embed_pages(self, token_TH: Tensor) -> Tensor:
        """Embed page tokens: [T, H] float32 to [T, E]."""
        return _normalised((self.shared if self._is_shared else self.page)(token_TH))

    def exact_queries(self, token_TH: Tensor) -> Tensor:
        """`embed_queries` without gradients, the same bits whatever stands beside a token."""
        return _in_blocks(self.embed_queries, token_TH)

    def exact_pages(self, token_TH: Tensor) -> Tensor:
        """`embed_pages` without gradients, the same bits whatever stands beside a token."""
        return _in_blocks(self.embed_pages, token_TH)

    def forward(self, query_TH: Tensor, page_TH: Tensor) -> tuple[Tensor, Tensor]:
        """Embed both at once, as data-parallel wrappers want it: query_TE, page_TE."""
        return self.embed_queries(query_TH), self.embed_pages(page_TH)


def _in_blocks(embed: Callable[[Tensor], Tensor], token_TH: Tensor) -> Tensor:
    """Blocks of one fixed shape, the last one padded.

    A matrix product of few rows may round otherwise than one of many: without this a page's
    embeddings, and then its scores, would depend on the shard that it stands in.
    """
    with torch.inference_mode():
        blocks = [
            embed(functional.pad(block, (0, 0, 0, _BLOCK_TOKENS - len(block))))[: len(block)]
            for block in token_TH.split(_BLOCK_TOKENS)
        ]
        return torch.cat(blocks)


def init_heads(config: HeadsConfig, width: int, seed: int) -> Heads:
    """Untrained heads, the same for the same seed whatever else draws random numbers.

    Query and page heads begin as the same random projection, which keeps angles (Johnson and
    Lindenstrauss, 1984): scores begin as the similarities of the backbone's own features.
    """
    heads = Heads(config.kind, width, config.dim, config.shared)
    modules = [heads.shared] if config.shared else [heads.query, heads.page]
    for module in modules:
        generator = torch.Generator().manual_seed(seed)
        for parameter in module.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=1 / math.sqrt(width), generator=generator)
            else:
                nn.init.zeros_(parameter)
    return heads


def save_heads(heads: Heads, folder: str, info: HeadsInfo) -> None:
    """Write `heads.safetensors` (float32) and `colintern.json` into `folder`."""
    weights = {
        name: value.detach().cpu().contiguous() for name, value in heads.state_dict().items()
    }
    storage.write_bytes(storage.join(folder, WEIGHTS), save(weights))
    storage.write_json(storage.join(folder, INFO), info.model_dump())


def load_heads(folder: str) -> tuple[Heads, HeadsInfo]:
    """Read heads and what they were trained for.

    Raises:
        CheckpointError: a weight is missing, unknown, of another shape or type, or not finite.
    """
    info = read_info(folder)
    path = storage.join(folder, WEIGHTS)
    try:
        weights = load(storage.read_bytes(path))
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is not a safetensors file ({error})") from error
    heads = Heads(info.kind, info.features_width, info.dim, info.shared)
    _check_weights(path, weights, heads.state_dict())
    heads.load_state_dict(weights)
    return heads.eval(), info


def read_info(folder: str) -> HeadsInfo:
    """Read `colintern.json` only."""
    path = storage.join(folder, INFO)
    try:
        return HeadsInfo.model_validate(json.loads(storage.read_bytes(path)))
    except (ValidationError, ValueError) as error:
        problem = one_line(error)
        raise CheckpointError(
            f"{path}: does not describe heads of this version ({problem})"
        ) from error


def heads_sha256(folder: str) -> str:
    """The hash of the weights in `folder`."""
    return storage.sha256_of_file(storage.join(folder, WEIGHTS))


def _projection(kind: str, width: int, dim: int) -> nn.Module:
    if kind == "linear":
        return nn.Linear(width, dim, bias=False)
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, dim, bias=False))


def _normalised(token_TE: Tensor) -> Tensor:
    return functional.normalize(token_TE, dim=1, eps=_EPS)


def _check_weights(path: str, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name in sorted(expected.keys() - found.keys()):
        raise CheckpointError(f"{path}: the weight '{name}' is missing; retrain or re-export")
    for name in sorted(found.keys() - expected.keys()):
        raise CheckpointError(f"{path}: the weight '{name}' is unknown; retrain or re-export")
    for name, weight in found.items():
        wanted = expected[name]
        if weight.shape != wanted.shape or weight.dtype != wanted.dtype:
            raise CheckpointError(
                f"{path}: the weight '{name}' is {weight.dtype} {list(weight.shape)}, "
                f"expected {wanted.dtype} {list(wanted.shape)}; retrain or re-export"
            )
        if not weight.isfinite().all():
            raise CheckpointError(f"{path}: the weight '{name}' holds values that are not finite")
