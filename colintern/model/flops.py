"""Floating-point operations of a page and of a query in an InternVL, from its sizes alone.

Counted are matrix products, a multiplication and an addition as 2: what torch's `FlopCounterMode`
counts. Norms, activations and softmax are left out; they are a few per cent. Causal attention
counts half of its square, as kernels that skip what is masked do; torch's counter takes all of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerProducts:
    """The matrix products of one or more transformer layers of a kind.

    Attributes:
        weights: multiply-adds with weights, for each token.
        attention: multiply-adds with other tokens, for each pair of tokens.
    """

    weights: int
    attention: int

    def flops(self, num_tokens: int, *, is_causal: bool) -> int:
        """Of a sequence; causal attention sees a token itself and those before it."""
        square = num_tokens * num_tokens
        pairs = (square + num_tokens) // 2 if is_causal else square
        return 2 * (self.weights * num_tokens + self.attention * pairs)


@dataclass(frozen=True)
class BackboneFlops:
    """What a backbone computes.

    Attributes:
        vision: all layers of the vision tower.
        language: all layers of the language model; None where features come before it.
        tile_patches: patches of a tile; the tower sees one more token, the tile's own.
        patch_weights: multiply-adds that embed a patch.
        projector_weights: multiply-adds that make one image token of neighbouring patches.
        tokens_per_tile: image tokens of a tile.
        prompt_tokens: tokens beside a page's image tokens.
        is_causal: whether a token of the language model sees only those before it.
    """

    vision: LayerProducts
    language: LayerProducts | None
    tile_patches: int
    patch_weights: int
    projector_weights: int
    tokens_per_tile: int
    prompt_tokens: int
    is_causal: bool = True

    def page(self, num_tokens: int) -> int:
        """Of a page with so many image tokens, those of whole tiles."""
        tiles = num_tokens // self.tokens_per_tile
        tower = self.vision.flops(self.tile_patches + 1, is_causal=False)
        embedding = 2 * self.patch_weights * self.tile_patches
        projector = 2 * self.projector_weights * self.tokens_per_tile
        return tiles * (tower + embedding + projector) + self.query(num_tokens + self.prompt_tokens)

    def query(self, num_tokens: int) -> int:
        """Of a query with so many tokens: the language model alone."""
        if self.language is None:
            return 0
        return self.language.flops(num_tokens, is_causal=self.is_causal)


def backbone_flops(
    model_config: Any,
    tokens_per_tile: int,
    prompt_tokens: int,
    *,
    language_layers: int | None = None,
) -> BackboneFlops:
    """Read the sizes of an InternVL.

    Args:
        model_config: its `InternVLConfig`.
        tokens_per_tile: image tokens of a tile.
        prompt_tokens: tokens beside a page's image tokens.
        language_layers: how many layers of the language model are run, from the first; 0 where
            features are taken before it (`backbone.layer: projector`); None for all.
    """
    vision, text = model_config.vision_config, model_config.text_config
    width, patch = vision.hidden_size, vision.patch_size[0] * vision.patch_size[1]
    size, side = vision.image_size, vision.patch_size
    layers = text.num_hidden_layers if language_layers is None else language_layers
    merged = width * round(1 / model_config.downsample_ratio) ** 2
    return BackboneFlops(
        vision=_vision_products(vision),
        language=_language_products(text, layers) if layers else None,
        tile_patches=(size[0] // side[0]) * (size[1] // side[1]),
        patch_weights=vision.num_channels * patch * width,
        projector_weights=merged * text.hidden_size + text.hidden_size**2,
        tokens_per_tile=tokens_per_tile,
        prompt_tokens=prompt_tokens,
        is_causal=getattr(text, "is_causal", True),
    )


def _vision_products(vision: Any) -> LayerProducts:
    width = vision.hidden_size
    layer = 4 * width**2 + 2 * width * vision.intermediate_size
    return LayerProducts(vision.num_hidden_layers * layer, vision.num_hidden_layers * 2 * width)


def _language_products(text: Any, num_layers: int) -> LayerProducts:
    """Those of the first layers of a decoder: grouped keys, a gated MLP, perhaps experts."""
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    heads = text.num_attention_heads
    key_value_heads = getattr(text, "num_key_value_heads", None) or heads
    # Query and output projections are as wide as all heads, those of keys and values narrower.
    projections = text.hidden_size * head_dim * 2 * (heads + key_value_heads)
    weights = sum(projections + mlp for mlp in _mlps(text, num_layers))
    return LayerProducts(weights, num_layers * 2 * heads * head_dim)


def _mlps(text: Any, num_layers: int) -> Iterator[int]:
    """The multiply-adds of each layer's MLP: three products, as it is gated."""
    dense = 3 * text.hidden_size * text.intermediate_size
    experts = getattr(text, "num_experts", None)
    for layer in range(num_layers):
        if not experts or not _has_experts(text, layer):
            yield dense
        else:
            # GPT-OSS and others call an expert's width what a dense layer calls its own.
            width = getattr(text, "moe_intermediate_size", None) or text.intermediate_size
            active = 3 * text.num_experts_per_tok * width
            yield text.hidden_size * (active + experts)


def _has_experts(text: Any, layer: int) -> bool:
    """Whether a layer of a mixture of experts is one, by the rule of Qwen3-MoE."""
    is_dense = layer in (getattr(text, "mlp_only_layers", None) or ())
    return not is_dense and (layer + 1) % getattr(text, "decoder_sparse_step", 1) == 0
