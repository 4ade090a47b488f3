"""The frozen InternVL: turns page images and query texts into token features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel

from colintern.config.schema import BackboneConfig
from colintern.errors import BackboneError, one_line
from colintern.model.attention import check_bidirectional, kernels_of
from colintern.model.checkpoint import checkpoint_hash, find_checkpoint, weight_files
from colintern.model.flops import BackboneFlops, backbone_flops
from colintern.model.internvl_config import (
    layer_numbers,
    num_layers_run,
    read_internvl_config,
    token_grid,
)
from colintern.model.pixels import pixel_values
from colintern.model.processor import Processor, TilePlanner
from colintern.model.quiet import quiet_transformers
from colintern.model.tiles import Tiler
from colintern.model.weights import check_weights, refuse_misfits
from colintern.streams import packed

DEFAULT_BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class BackboneIdentity:
    """What a backbone's features depend on; read without loading the weights.

    Attributes:
        checkpoint_sha256: over weights, configuration, tokenizer and image processor files.
        width: numbers per token: H of the model, times the number of its layers that are taken.
        tiles: how many tiles and tokens a page has.
        tiler: cuts a page into its tiles.
        joins_prefix: whether the tokenizer may join the end of the query prefix and the start of
            the text into one token.
        flops: what it computes for a page and for a query.
    """

    checkpoint_sha256: str
    width: int
    tiles: TilePlanner
    tiler: Tiler
    joins_prefix: bool
    flops: BackboneFlops

    def tile_grid(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of tiles for a page of this size in pixels."""
        return self.tiles.tile_grid(width, height)

    def num_page_tokens(self, width: int, height: int) -> int:
        """Feature tokens of a page of this size in pixels."""
        return self.tiles.num_page_tokens(width, height)


def read_identity(config: BackboneConfig) -> BackboneIdentity:
    """Hash a checkpoint's files and read its sizes.

    Raises:
        BackboneError: it cannot be found, is not an InternVL checkpoint, or is incomplete.
    """
    folder = find_checkpoint(config)
    model_config = read_internvl_config(folder, config)
    processor = _fitting_processor(folder, config, model_config)
    check_weights(weight_files(folder, config.path), model_config, config.path)
    return BackboneIdentity(
        checkpoint_sha256=checkpoint_hash(folder),
        width=model_config.text_config.hidden_size * config.num_layers,
        tiles=processor.tiles,
        tiler=processor.tiler,
        joins_prefix=processor.joins_prefix(),
        flops=backbone_flops(
            model_config,
            processor.tiles.tokens_per_tile,
            prompt_tokens=len(processor.page_tokens(0)),
            language_layers=num_layers_run(model_config, config),
        ),
    )


def read_processor(config: BackboneConfig) -> Processor:
    """The tokenizer and image processor of a backbone, without its weights.

    Raises:
        BackboneError: as `read_identity`.
    """
    folder = find_checkpoint(config)
    return _fitting_processor(folder, config, read_internvl_config(folder, config))


def compute_dtype(config: BackboneConfig, device: str) -> str:
    """The type that the backbone computes in on `device`: `float32` or `bfloat16`."""
    if config.dtype == "auto":
        return "bfloat16" if device.startswith("cuda") else "float32"
    return config.dtype


class FrozenBackbone:
    """An InternVL model that computes features and never learns.

    Args:
        config: path, revision, dtype, layer, attention, prompts, tiling.
        device: where it runs; features come back to the CPU.

    Attributes:
        device: the type of it, `cpu` or `cuda`.
        compute_dtype: what it computes in.
        attention_kernel: what computes attention, such as `sdpa`.
        width: H of the model, times the number of its layers that are taken.
        tiles: how many tiles and tokens a page has.
        tiler: cuts a page into its tiles.

    Raises:
        BackboneError: the checkpoint cannot be found, is not InternVL, lacks weights, or cannot
            attend as it is asked to.
    """

    def __init__(self, config: BackboneConfig, device: str = "cpu") -> None:
        folder = find_checkpoint(config)
        model_config = read_internvl_config(folder, config)
        self._processor = _fitting_processor(folder, config, model_config)
        self._layers = layer_numbers(model_config, config)
        self._last_layer: int = model_config.text_config.num_hidden_layers
        self._device = torch.device(device)
        self._model: Any = _load_model(folder, config, model_config, device).to(self._device)
        if config.attention == "bidirectional":
            check_bidirectional(self._model, config.path)
        _leave_out_above(num_layers_run(model_config, config), self._model.language_model)
        self.device = self._device.type
        self.compute_dtype = compute_dtype(config, device)
        self.attention_kernel = kernels_of(self._model)
        self.width: int = model_config.text_config.hidden_size * config.num_layers
        self.tiles = self._processor.tiles
        self.tiler = self._processor.tiler
        # In the model's type: each pixel is then rounded as it would be one by one.
        self._pixel_table = self._processor.pixel_table().to(self._device, self._model.dtype)

    def encode_pages(
        self, images: Sequence[Image.Image], *, batch_tokens: int = DEFAULT_BATCH_TOKENS
    ) -> list[Tensor]:
        """Encode pages of any size; pages with the same number of tokens share a model batch.

        Args:
            images: RGB images.
            batch_tokens: image tokens in one model batch; a batch has at least one page.

        Returns:
            The image tokens of each page, [P, H] on the CPU, in the model's dtype; with a list of L
            layers [P, L*H], side by side in the list's order, each with a root mean square of 1 in
            every token. Tiles come in reading order, then the thumbnail; inside a tile, tokens go
            row by row.
        """
        return self.encode_tiles(list(map(self.tiler, images)), batch_tokens=batch_tokens)

    def encode_tiles(
        self, pages: Sequence[np.ndarray], *, batch_tokens: int = DEFAULT_BATCH_TOKENS
    ) -> list[Tensor]:
        """Like `encode_pages`, from the tiles that `tiler` makes of each page."""
        sizes = [len(tiles) * self.tiles.tokens_per_tile for tiles in pages]

        def encode(indexes: list[int]) -> list[Tensor]:
            return self._page_features([pages[index] for index in indexes], sizes[indexes[0]])

        return _in_batches(sizes, batch_tokens, encode)

    def encode_queries(
        self, texts: Sequence[str], *, batch_tokens: int = DEFAULT_BATCH_TOKENS
    ) -> list[Tensor]:
        """Encode query texts; texts with the same number of tokens share a model batch.

        Returns:
            All tokens of each query, [Q, H] or [Q, L*H] on the CPU, in the model's dtype: prefix,
            text, augmentation. With `layer: projector` they are the LLM's input embeddings.
        """
        tokens = [self._processor.query_tokens(text) for text in texts]

        def encode(indexes: list[int]) -> list[Tensor]:
            return self._query_features([tokens[index] for index in indexes])

        return _in_batches([len(ids) for ids in tokens], batch_tokens, encode)

    def query_token_texts(self, text: str) -> list[str]:
        """What each token that `encode_queries` gives for a text stands for."""
        return self._processor.query_token_texts(text)

    def query_words(self, text: str) -> tuple[tuple[int, ...], ...] | None:
        """Which of those tokens each word of a text is; None where that is not known."""
        return self._processor.query_words(text)

    def _page_features(self, pages: list[np.ndarray], num_tokens: int) -> list[Tensor]:
        pixels = self._pixel_values(pages)
        if not self._layers:  # the projector
            features = self._model.get_image_features(pixels, return_dict=True).pooler_output
            return list(features.reshape(len(pages), num_tokens, -1))
        ids = torch.tensor([self._processor.page_tokens(num_tokens)] * len(pages))
        ids = ids.to(self._device)
        hidden = self._hidden_states(input_ids=ids, pixel_values=pixels)
        is_image = ids[0] == self._processor.context_id
        return list(hidden[:, is_image])

    def _pixel_values(self, pages: list[np.ndarray]) -> Tensor:
        """The model's input for the tiles of some pages: [tiles, 3, height, width]."""
        tiles = torch.from_numpy(np.concatenate(pages))
        if self._device.type == "cuda":
            tiles = tiles.pin_memory()  # else the copy waits for what the device does
        return pixel_values(tiles.to(self._device, non_blocking=True), self._pixel_table)

    def _query_features(self, token_ids: list[list[int]]) -> list[Tensor]:
        ids = torch.tensor(token_ids).to(self._device)
        if not self._layers:  # the projector
            return list(self._model.get_input_embeddings()(ids))
        return list(self._hidden_states(input_ids=ids))

    def _hidden_states(self, **inputs: Tensor) -> Tensor:
        """The chosen hidden states of the LLM, [items, tokens, L*H]; the last is after the norm.

        Of all others transformers keeps none.
        """
        if self._layers == (self._last_layer,):
            return self._model(**inputs, use_cache=False).last_hidden_state
        chosen = list(self._layers)
        outputs = self._model(**inputs, use_cache=False, output_hidden_states=chosen)
        states = [outputs.hidden_states[layer] for layer in chosen]
        return (
            states[0] if len(states) == 1 else torch.cat(list(map(_of_unit_size, states)), dim=-1)
        )


def _leave_out_above(num_layers: int, language_model: Any) -> None:
    """Leave out the layers above the first `num_layers`: they would cost time for nothing.

    A language model whose parts have other names than those of InternVL's runs as a whole.
    """
    layers, norm = (getattr(language_model, name, None) for name in ("layers", "norm"))
    if isinstance(layers, nn.ModuleList) and norm is not None and num_layers < len(layers):
        language_model.layers = layers[:num_layers]
        language_model.norm = nn.Identity()  # transformers takes the last hidden state behind it


def _of_unit_size(token_TH: Tensor) -> Tensor:
    """Tokens divided by their root mean square, in their dtype.

    Between layers an LLM's hidden states can be a hundred times as large as after its last norm.
    Side by side, the largest would be all that a head sees, and all that 8 bits can hold.
    """
    wide = token_TH.float()
    return functional.rms_norm(wide, wide.shape[-1:], eps=1e-12).to(token_TH.dtype)


def _in_batches(
    sizes: Sequence[int], batch_tokens: int, encode: Callable[[list[int]], list[Tensor]]
) -> list[Tensor]:
    """The features of all items in their order; a batch holds items of one size only."""
    by_size: dict[int, list[int]] = {}
    for index, size in enumerate(sizes):
        by_size.setdefault(size, []).append(index)
    results: dict[int, Tensor] = {}
    with torch.inference_mode():
        for size in sorted(by_size):
            for indexes in packed(by_size[size], lambda _, size=size: max(1, size), batch_tokens):
                features = [feature.cpu() for feature in encode(indexes)]
                results.update(zip(indexes, features, strict=True))
    return [results[index] for index in range(len(sizes))]


def _fitting_processor(folder: Path, config: BackboneConfig, model_config: Any) -> Processor:
    """The tokenizer and image processor, after a check that they belong to the model."""
    processor = Processor(folder, config, token_grid(model_config))
    tile = tuple(model_config.vision_config.image_size)
    rows = model_config.text_config.vocab_size
    for belongs, model_has, other_has in (
        (
            model_config.image_token_id == processor.context_id,
            f"config.image_token_id is {model_config.image_token_id}",
            f"the tokenizer's is {processor.context_id}",
        ),
        (
            processor.num_ids <= rows,
            f"config.text_config.vocab_size is {rows}",
            f"the tokenizer has {processor.num_ids} ids",
        ),
        (
            processor.tile == tile,
            f"config.vision_config.image_size is {tile}",
            f"the image processor's tiles are {processor.tile}",
        ),
    ):
        if not belongs:
            raise BackboneError(
                f"backbone.path={config.path}: {model_has}, {other_has}; "
                "the files do not belong together"
            )
    return processor


def _load_model(folder: Path, config: BackboneConfig, model_config: Any, device: str) -> Any:
    dtype = getattr(torch, compute_dtype(config, device))
    with quiet_transformers():
        try:
            model, found = AutoModel.from_pretrained(
                folder,
                config=model_config,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported in `found`, and refused below
            )
        except (OSError, RuntimeError, SafetensorError) as error:
            raise BackboneError(
                f"backbone.path={config.path}: weights cannot be loaded ({one_line(error)})"
            ) from error
    refuse_misfits(found, config.path)
    return model.eval().requires_grad_(False)
