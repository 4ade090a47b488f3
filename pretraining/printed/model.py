"""The model at its start: heads that look at neighbours, positions that stay, strokes as patches.

Random attention over 256 patches learns for hours where to look. Letters are cut by the patch grid,
so each head begins by looking at one neighbour, as a convolution does. The last numbers of a patch
hold its place as waves, which a turn of query against key shifts by whole patches.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import InternVLModel

from pretraining.batches import normalised
from pretraining.model import text_states, whiten_patches
from pretraining.objectives import Seen
from pretraining.printed.batches import TileBatch
from pretraining.printed.recipe import Recipe
from pretraining.recipe import PATCH_GRID

_PLACE_WIDTH = 64  # numbers that hold the place: a sine and a cosine of 16 waves, for x and for y
_NUM_WAVES = _PLACE_WIDTH // 4
_AMPLITUDE = 3.0  # of the waves: they decide most of a layer norm's scale, so attention stays sharp
_KEPT_LAYERS = 3  # so many first layers write nothing into the numbers that hold the place
_OFFSETS = ((0, -1), (0, 1), (-1, 0), (1, 0), (-2, 0), (2, 0), (0, 0), (3, 0))  # x, y of neighbours
_SHARPNESS = 0.9


@torch.no_grad()
def local_start(model: InternVLModel, pixels_N3TT: Tensor) -> None:
    """Whiten the patches, and let every head of the vision tower look at one neighbour.

    Args:
        model: a random one; it is changed.
        pixels_N3TT: normalised tiles of text.
    """
    tower: Any = model.vision_tower
    width = tower.embeddings.patch_embeddings.projection.out_channels - _PLACE_WIDTH
    whiten_patches(model, pixels_N3TT, width)
    keep_places(model)
    hidden = tower.embeddings(pixels_N3TT)
    for layer in tower.encoder.layer:
        variance = float(hidden[:, 1:].var(-1).mean())
        _look_at_neighbours(layer.attention, variance)
        _start_values(layer)
        hidden = layer(hidden)
    keep_places(model)


@torch.no_grad()
def keep_places(model: InternVLModel) -> None:
    """Put the places back; training calls it after every step."""
    tower: Any = model.vision_tower
    projection = tower.embeddings.patch_embeddings.projection
    start = projection.out_channels - _PLACE_WIDTH
    projection.weight[start:] = 0
    projection.bias[start:] = 0
    tower.embeddings.position_embeddings.zero_()
    tower.embeddings.position_embeddings[0, 1:, start:] = _places()
    for layer in tower.encoder.layer[:_KEPT_LAYERS]:
        for linear in (layer.attention.projection_layer, layer.mlp.fc2):
            linear.weight[start:] = 0
            linear.bias[start:] = 0


def _places() -> Tensor:
    """[patches, _PLACE_WIDTH]: sine and cosine of each wave, for the column and then the row."""
    angles = torch.arange(PATCH_GRID)[:, None] * _waves()
    axis = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    columns = axis[None, :, :].expand(PATCH_GRID, PATCH_GRID, -1)
    rows = axis[:, None, :].expand(PATCH_GRID, PATCH_GRID, -1)
    return _AMPLITUDE * torch.cat([columns, rows], dim=-1).flatten(0, 1)


def _waves() -> Tensor:
    """Radians a patch of each wave: from nearly half a turn to a fourteenth of that."""
    return 0.95 * math.pi * 14.0 ** -(torch.arange(_NUM_WAVES) / (_NUM_WAVES - 1))


def _look_at_neighbours(attention: Any, variance: float) -> None:
    """Queries and keys whose product is largest at a head's neighbour.

    Args:
        attention: of a layer.
        variance: of the numbers of a patch that enter the layer.
    """
    head_width, start = attention.head_dim, attention.embed_dim - _PLACE_WIDTH
    pairs = head_width // 4  # waves that a head uses of each axis
    scale = math.sqrt(_SHARPNESS * math.sqrt(head_width) * variance) / _AMPLITUDE
    for linear in (attention.q_proj, attention.k_proj):
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)
    waves = _waves()
    for head in range(attention.num_heads):
        used = (torch.arange(pairs) * _NUM_WAVES // pairs + head % 2).tolist()
        for axis, offset in enumerate(_OFFSETS[head]):
            for index, wave in enumerate(used):
                source = start + axis * _PLACE_WIDTH // 2 + 2 * wave
                target = head * head_width + axis * 2 * pairs + 2 * index
                angle = offset * float(waves[wave])
                key = torch.eye(2)
                query = torch.tensor(  # the waves at the place beside it
                    [
                        [math.cos(angle), math.sin(angle)],
                        [-math.sin(angle), math.cos(angle)],
                    ]
                )
                block = slice(target, target + 2), slice(source, source + 2)
                attention.k_proj.weight[block] += scale * key
                attention.q_proj.weight[block] += scale * query


def _start_values(layer: Any) -> None:
    """Values and feed-forward of a layer read from the picture, not from the place."""
    attention, start = layer.attention, layer.attention.embed_dim - _PLACE_WIDTH
    nn.init.ones_(layer.layernorm_before.weight)
    nn.init.zeros_(layer.layernorm_before.bias)
    for linear in (attention.v_proj, attention.projection_layer):
        nn.init.orthogonal_(linear.weight)
        nn.init.zeros_(linear.bias)
    for linear, gain in ((layer.mlp.fc1, 1.0), (layer.mlp.fc2, 0.5)):
        nn.init.normal_(linear.weight, std=gain * linear.in_features**-0.5)
    attention.v_proj.weight[:, start:] = 0
    layer.mlp.fc1.weight[:, start:] = 0
    for linear in (attention.projection_layer, layer.mlp.fc2):
        linear.weight[start:] = 0
        linear.bias[start:] = 0


@dataclass(frozen=True)
class Prompt:
    """Token ids around the image tokens of a page."""

    before: tuple[int, ...]
    after: tuple[int, ...]


class Readers(nn.Module):
    """The model, and a layer that only pretraining needs and that is dropped at its end.

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
        nn.init.zeros_(self.characters.weight[:, recipe.vision_width - _PLACE_WIDTH :])
        self._slots, self._scale = slots, recipe.naming_scale

    def forward(self, batch: TileBatch, prompt: Prompt, group: int) -> Seen:
        """Read tiles, and the queries about them.

        States are matched as they are, without a head: whatever keeps angles can be a head then.

        Args:
            batch: a multiple of `group`.
            prompt: around the image tokens of a page.
            group: tiles that the LLM reads as one page.
        """
        logits_NGSL, state_NCH = self._see(normalised(batch.grey_NTT), prompt, group)
        text_BQH = text_states(self.model, batch.query_BQ)
        return Seen(
            logits_NGSL,
            state_NCH,
            text_BQH,
            self._name,
            page_NCE=state_NCH,
            query_BQE=text_BQH,
            scored_BQ=batch.query_mask_BQ | batch.prefix_mask_BQ,
        )

    def _see(self, pixels_N3TT: Tensor, prompt: Prompt, group: int) -> tuple[Tensor, Tensor]:
        """Character logits [N, G, S, classes], and the LLM's states at the cells [N, C, H]."""
        model: Any = self.model  # its declared signature lacks some options
        seen = model.get_image_features(pixels_N3TT, return_dict=True)
        logits = self.characters(seen.last_hidden_state[:, 1:]).unflatten(-1, (self._slots, -1))
        cells = seen.pooler_output.unflatten(0, (-1, group)).flatten(1, 2)
        embed = model.get_input_embeddings()
        start, end = (
            embed(torch.tensor(ids))[None].expand(len(cells), -1, -1)
            for ids in (prompt.before, prompt.after)
        )
        states = model.language_model(
            inputs_embeds=torch.cat([start, cells, end], dim=1), use_cache=False
        ).last_hidden_state
        first = len(prompt.before)
        state_NCH = states[:, first : first + cells.shape[1]].unflatten(1, (group, -1))
        return logits, state_NCH.flatten(0, 1)

    def _name(self, states: Tensor) -> Tensor:
        """Logits over the vocabulary: cosines with the tied embeddings, `naming_scale` times.

        So what stands in a cell is found by its direction, which is all that late interaction
        compares; a plain product would let a few long states and embeddings decide.
        """
        model: Any = self.model
        embeddings = functional.normalize(model.get_input_embeddings().weight, dim=-1)
        return self._scale * functional.normalize(states, dim=-1) @ embeddings.T
