"""The model at its start: sizes, position embeddings, and a patch layer that sees strokes."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import InternVLConfig, InternVLModel, InternVLVisionConfig, Qwen2Config

from pretraining.batches import TileBatch
from pretraining.objectives import Seen
from pretraining.recipe import PATCH, PATCH_GRID, TILE, TOKENS_PER_TILE, ModelSizes, Recipe

_WHITENING_FLOOR = 1e-3  # of the largest variance: directions below it are noise


def random_model(sizes: ModelSizes, num_tokens: int, image_token_id: int) -> InternVLModel:
    """An InternVL for tiles of pretraining, as transformers draws it."""
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=sizes.vision_width,
            intermediate_size=sizes.vision_feed_forward,
            num_hidden_layers=sizes.vision_layers,
            num_attention_heads=sizes.vision_heads,
            attention_bias=True,
            image_size=[TILE, TILE],
            patch_size=[PATCH, PATCH],
            layer_scale_init_value=0.5,
        ),
        text_config=Qwen2Config(
            vocab_size=num_tokens,
            hidden_size=sizes.text_width,
            intermediate_size=sizes.text_feed_forward,
            num_hidden_layers=sizes.text_layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
        ),
        image_token_id=image_token_id,
        image_seq_length=TOKENS_PER_TILE,
        downsample_ratio=0.5,
    )
    return InternVLModel(config)


def fresh_model(sizes: ModelSizes, num_tokens: int, image_token_id: int) -> InternVLModel:
    """A random InternVL with sine-cosine position embeddings; in transformers they start as 0."""
    model = random_model(sizes, num_tokens, image_token_id)
    embeddings = model.vision_tower.embeddings
    with torch.no_grad():
        embeddings.position_embeddings[0, 1:] = _sine_cosine(sizes.vision_width)
    return model


def whiten_patches(model: InternVLModel, pixels_N3TT: Tensor, width: int | None = None) -> None:
    """Start the patch convolution as the whitening PCA of patches of text.

    Letters differ in directions of small variance, which a random projection would hide.

    Args:
        model: it is changed.
        pixels_N3TT: normalised tiles.
        width: so many first numbers of a patch are set; None for all.
    """
    patches = nn.functional.unfold(pixels_N3TT, PATCH, stride=PATCH)
    patches = patches.transpose(1, 2).flatten(0, 1).double()
    mean = patches.mean(0)
    covariance = torch.cov(patches.T)
    variances, directions = torch.linalg.eigh(covariance)
    layer = model.vision_tower.embeddings.patch_embeddings.projection
    width = width or layer.weight.shape[0]
    variances, directions = variances.flip(0)[:width], directions.flip(1)[:, :width]
    scales = variances.clamp_min(_WHITENING_FLOOR * variances[0]).rsqrt()
    weight = (directions * scales).T
    with torch.no_grad():
        layer.weight[:width] = weight.reshape(width, *layer.weight.shape[1:])
        layer.bias[:width] = -weight @ mean


def _sine_cosine(width: int) -> Tensor:
    """Position embeddings of the patches, [patches, width]: half for rows, half for columns."""
    rates = 10_000.0 ** (-torch.arange(width // 4) / (width // 4))
    angles = torch.arange(PATCH_GRID)[:, None] * rates * (math.pi / 2)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = waves[:, None, :].expand(PATCH_GRID, PATCH_GRID, -1)
    columns = waves[None, :, :].expand(PATCH_GRID, PATCH_GRID, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)


def text_states(model: InternVLModel, ids_BQ: Tensor) -> Tensor:
    """The LLM's states at the tokens of texts, [B, Q, H]."""
    return model.language_model(input_ids=ids_BQ, use_cache=False).last_hidden_state


class Readers(nn.Module):
    """The model, and small layers that only pretraining needs and that are dropped at its end.

    Args:
        recipe: the widths.
        model: the InternVL.
        num_characters: classes of a character slot.
        slots: character slots of a patch.
    """

    def __init__(
        self, recipe: Recipe, model: InternVLModel, num_characters: int, slots: int
    ) -> None:
        super().__init__()
        self.model = model
        self.characters = nn.Linear(recipe.vision_width, slots * num_characters)
        self.page_match = nn.Linear(recipe.text_width, 128, bias=False)
        self.query_match = nn.Linear(recipe.text_width, 128, bias=False)
        self._slots = slots

    def forward(self, batch: TileBatch, prompt: Sequence[int]) -> Seen:
        """Read tiles, each as a page of its own, and the queries about them."""
        logits_NGSL, state_NCH = self._see(batch.pixels_N3TT, prompt)
        text_BQH = text_states(self.model, batch.query_BQ)
        return Seen(
            logits_NGSL,
            state_NCH,
            text_BQH,
            self._name,
            page_NCE=self.page_match(state_NCH),
            query_BQE=self.query_match(text_BQH),
            scored_BQ=batch.query_mask_BQ,
        )

    def _see(self, pixels_N3TT: Tensor, prompt: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Character logits [N, G, S, classes], and the LLM's states at the cells [N, C, H]."""
        model: Any = self.model  # its declared signature lacks some options
        seen = model.get_image_features(pixels_N3TT, return_dict=True)
        patches = seen.last_hidden_state[:, 1:]
        logits = self.characters(patches).unflatten(-1, (self._slots, -1))
        ids = torch.tensor([prompt] * len(pixels_N3TT))
        embedded = self.model.get_input_embeddings()(ids)
        is_cell = ids[0] == self.model.config.image_token_id
        inputs = torch.cat(
            [
                embedded[:, : int(is_cell.int().argmax())],
                seen.pooler_output,
                embedded[:, int(is_cell.nonzero()[-1]) + 1 :],
            ],
            dim=1,
        )
        states = self.model.language_model(inputs_embeds=inputs, use_cache=False)
        return logits, states.last_hidden_state[:, is_cell]

    def _name(self, states: Tensor) -> Tensor:
        """Logits over the vocabulary, through the tied embedding."""
        model: Any = self.model
        return states @ model.get_input_embeddings().weight.T
