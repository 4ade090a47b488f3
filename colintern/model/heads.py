"""The two projections that learn: query tokens and page tokens into one embedding space."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from colintern import storage
from colintern.config.schema import ADDED_LATER, Config, HeadsConfig, Layers
from colintern.errors import CheckpointError, one_line

WEIGHTS = "heads.safetensors"
INFO = "colintern.json"
_EPS = 1e-12
_BLOCK_TOKENS = 1_024


class _Info(BaseModel):
    """A part of `colintern.json`. A key that is `ADDED_LATER` is written if it says something."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, as_document: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        return {
            name: value
            for name, value in as_document(self).items()
            if ADDED_LATER not in fields[name].metadata or value != fields[name].default
        }


class BackboneInfo(_Info):
    """The backbone that heads were trained on.

    Attributes:
        layer: of a list, each layer of a token is divided by its own root mean square before heads
            take it (see `model.backbone`): so must whoever uses them elsewhere.
    """

    path: str
    revision: str | None
    layer: Layers
    attention: Annotated[Literal["causal", "bidirectional"], ADDED_LATER] = "causal"


class HeadsInfo(_Info):
    """The content of `colintern.json`, beside the weights: all that is needed to use them.

    Attributes:
        features_width: numbers per token that the heads take.
        pca: the hash of the basis whose coordinates they take; None for the backbone's features.
        layer_mix: whether they mix the layers in the features.
    """

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
    pca: str | None = None
    stores: dict[str, str]
    layer_mix: Annotated[bool, ADDED_LATER] = False
    pad_to_grid: Annotated[bool, ADDED_LATER] = False

    @property
    def num_mixed(self) -> int:
        """L, the layers in the features that the heads mix; 1 if they are taken as they are."""
        layers = self.backbone.layer
        return len(layers) if self.layer_mix and isinstance(layers, tuple) else 1


def heads_info(
    config: Config, features_width: int, stores: Mapping[str, str], pca: str | None = None
) -> HeadsInfo:
    """What is written beside the heads of a run.

    Args:
        config: of the run.
        features_width: numbers per token of the features that are stored: H, L*H, or the basis's K.
        stores: the path of each dataset's feature store, by dataset name.
        pca: the hash of the basis that features are stored in, if there is one.
    """
    backbone, heads = config.backbone, config.heads
    return HeadsInfo(
        backbone=BackboneInfo(
            path=backbone.path,
            revision=backbone.revision,
            layer=backbone.layer,
            attention=backbone.attention,
        ),
        features_width=features_width,
        dim=heads.dim,
        kind=heads.kind,
        shared=heads.shared,
        page_prompt=backbone.page_prompt,
        query_prefix=backbone.query_prefix,
        query_augmentation_tokens=backbone.query_augmentation_tokens,
        max_tiles=backbone.max_tiles,
        pca=pca,
        stores=dict(stores),
        layer_mix=heads.layer_mix,
        pad_to_grid=backbone.pad_to_grid,
    )


class LayerMix(nn.Module):
    """Learns how much each of several hidden states counts: [T, L*H] to their mean [T, H].

    The weights are a softmax, equal at the start; the scalar mix of ELMo (Peters et al., 2018).

    Args:
        num_layers: L.
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_layers))

    def forward(self, token_TH: Tensor) -> Tensor:
        """The weighted mean of the layers that stand side by side in each token."""
        token_TLH = token_TH.unflatten(1, (len(self.weight), -1))
        return torch.einsum("tlh,l->th", token_TLH, self.weight.softmax(dim=0))


class Heads(nn.Module):
    """Projects backbone features [T, H] to embeddings [T, E], L2-normalised, float32.

    Args:
        kind: `linear`, or `mlp` with one hidden layer of its input's width and exact GELU.
        width: H, or L*H with several layers.
        dim: E.
        shared: one projection for queries and pages.
        num_mixed: L, the layers in the features of which one weighted mean [T, H] is projected,
            for queries and pages the same; 1 to project the features as they are.
    """

    def __init__(self, kind: str, width: int, dim: int, shared: bool, num_mixed: int = 1) -> None:
        super().__init__()
        self.dim = dim
        self.layer_mix = LayerMix(num_mixed) if num_mixed > 1 else nn.Identity()
        width //= num_mixed
        if shared:
            self.shared = _projection(kind, width, dim)
        else:
            self.query = _projection(kind, width, dim)
            self.page = _projection(kind, width, dim)
        self._is_shared = shared

    def embed_queries(self, token_TH: Tensor) -> Tensor:
        """Embed query tokens: [T, H] float32 to [T, E]."""
        project = self.shared if self._is_shared else self.query
        return _normalised(project(self.layer_mix(token_TH)))

    def embed_pages(self, token_TH: Tensor) -> Tensor:
        """Embed page tokens: [T, H] float32 to [T, E]."""
        project = self.shared if self._is_shared else self.page
        return _normalised(project(self.layer_mix(token_TH)))

    def exact_queries(self, token_TH: Tensor) -> Tensor:
        """`embed_queries` without gradients; a token's bits do not depend on the other tokens."""
        return _in_blocks(self.embed_queries, token_TH)

    def exact_pages(self, token_TH: Tensor) -> Tensor:
        """`embed_pages` without gradients; a token's bits do not depend on the other tokens."""
        return _in_blocks(self.embed_pages, token_TH)

    def forward(self, query_TH: Tensor, page_TH: Tensor) -> tuple[Tensor, Tensor]:
        """Embed both in one call, which data-parallel wrappers need: query_TE, page_TE."""
        return self.embed_queries(query_TH), self.embed_pages(page_TH)


def _in_blocks(embed: Callable[[Tensor], Tensor], token_TH: Tensor) -> Tensor:
    """Embed in blocks of one fixed shape; the last block is padded.

    A matrix product of few rows may round differently from one of many rows. Without fixed blocks,
    the embeddings and scores of a page would depend on the other pages of its shard.
    """
    with torch.inference_mode():
        blocks = [
            embed(functional.pad(block, (0, 0, 0, _BLOCK_TOKENS - len(block))))[: len(block)]
            for block in token_TH.split(_BLOCK_TOKENS)
        ]
        return torch.cat(blocks)


def init_heads(config: HeadsConfig, width: int, seed: int, num_layers: int = 1) -> Heads:
    """Untrained heads; they depend on the seed only, not on the global random state.

    Query and page heads start as the same random projection, which roughly keeps angles (Johnson
    and Lindenstrauss, 1984). So the first scores are close to the similarities of the backbone's
    features. Linear heads that are as wide as what they project, or wider, start as the identity,
    so that those scores are these similarities.

    Args:
        config: their kind and size.
        width: numbers per token of the features that are stored: H, or L*H.
        seed: of the projections.
        num_layers: L, the layers in the features; they are mixed with `heads.layer_mix`.
    """
    num_mixed = num_layers if config.layer_mix else 1
    heads = Heads(config.kind, width, config.dim, config.shared, num_mixed)
    width //= num_mixed
    is_identity = config.kind == "linear" and config.dim >= width
    std = 1 / math.sqrt(width)
    modules = [heads.shared] if config.shared else [heads.query, heads.page]
    for module in modules:
        generator = torch.Generator().manual_seed(seed)
        for parameter in module.parameters():
            if parameter.dim() == 2 and is_identity:
                nn.init.eye_(parameter)
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=std, generator=generator)
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
    """Read the heads in `folder`, and the description beside them.

    Raises:
        CheckpointError: a weight is missing, unknown, of another shape or type, or not finite.
    """
    info = read_info(folder)
    path = storage.join(folder, WEIGHTS)
    try:
        weights = load(storage.read_bytes(path))
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: is cut short, or no safetensors file ({error}); put it back, or train again"
        ) from error
    heads = Heads(info.kind, info.features_width, info.dim, info.shared, info.num_mixed)
    _check_weights(path, weights, heads.state_dict())
    heads.load_state_dict(weights)
    return heads.eval(), info


def read_info(folder: str) -> HeadsInfo:
    """Read `colintern.json` only.

    Raises:
        CheckpointError: it does not describe heads of this version.
    """
    path = storage.join(folder, INFO)
    try:
        return HeadsInfo.model_validate(json.loads(storage.read_bytes(path)))
    except (ValidationError, ValueError) as error:
        raise CheckpointError(
            f"{path}: does not describe heads of this version ({one_line(error)})"
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
        raise CheckpointError(f"{path}: the weight '{name}' is missing; train or export again")
    for name in sorted(found.keys() - expected.keys()):
        raise CheckpointError(f"{path}: the weight '{name}' is unknown; train or export again")
    for name, weight in found.items():
        wanted = expected[name]
        if weight.shape != wanted.shape or weight.dtype != wanted.dtype:
            raise CheckpointError(
                f"{path}: the weight '{name}' is {weight.dtype} {list(weight.shape)}, "
                f"expected {wanted.dtype} {list(wanted.shape)}; train or export again"
            )
        if not weight.isfinite().all():
            raise CheckpointError(f"{path}: the weight '{name}' holds values that are not finite")
