"""The frozen InternVL: turns page images and query texts into token features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModel

from colintern.config.schema import BackboneConfig
from colintern.errors import BackboneError, one_line
from colintern.model.checkpoint import checkpoint_hash, find_checkpoint, weight_files
from colintern.model.flops import BackboneFlops, backbone_flops
from colintern.model.internvl_config import read_internvl_config, token_grid
from colintern.model.processor import Processor, TilePlanner
from colintern.model.quiet import quiet_transformers
from colintern.model.weights import check_weights, refuse_misfits
from colintern.streams import packed

DEFAULT_BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class BackboneIdentity:
    """What a backbone's features depend on; read without loading the weights.

    Attributes:
        checkpoint_sha256: over weights, configuration, tokenizer and image processor files.
        width: H, numbers per token.
        tiles: how a page is cut into tiles.
        joins_prefix: whether the tokenizer may join the end of the query prefix and the start of
            the text into one token.
        flops: what it computes for a page and for a query.
    """

    checkpoint_sha256: str
    width: int
    tiles: TilePlanner
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
        width=model_config.text_config.hidden_size,
        tiles=processor.tiles,
        joins_prefix=processor.joins_prefix(),
        flops=backbone_flops(
            model_config,
            processor.tiles.tokens_per_tile,
            prompt_tokens=len(processor.page_tokens(0)),
            has_language_model=config.layer != "projector",
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
        config: path, revision, dtype, layer, prompts, tiling.
        device: where it runs; features come back to the CPU.

    Raises:
        BackboneError: the checkpoint cannot be found, is not InternVL, or lacks weights.
    """

    def __init__(self, config: BackboneConfig, device: str = "cpu") -> None:
        folder = find_checkpoint(config)
        model_config = read_internvl_config(folder, config)
        self._processor = _fitting_processor(folder, config, model_config)
        self._layer = config.layer
        self._device = torch.device(device)
        self._model: Any = _load_model(folder, config, model_config, device).to(self._device)
        self.compute_dtype = compute_dtype(config, device)
        self.width: int = model_config.text_config.hidden_size
        self.tiles = self._processor.tiles

    def encode_pages(
        self, images: Sequence[Image.Image], *, batch_tokens: int = DEFAULT_BATCH_TOKENS
    ) -> list[Tensor]:
        """Encode pages of any size; pages with the same number of tokens share a model batch.

        Args:
            images: RGB images.
            batch_tokens: image tokens in one model batch; a batch has at least one page.

        Returns:
            The image tokens of each page, [P, H] on the CPU, in the model's dtype. Tiles come in
            reading order, then the thumbnail; inside a tile, tokens go row by row.
        """
        return self.encode_tiles(list(map(self.page_tiles, images)), batch_tokens=batch_tokens)

    def page_tiles(self, image: Image.Image) -> Tensor:
        """The model's input for an RGB page: [tiles, 3, height, width] float32 on the CPU.

        It takes a few megabytes for any size of page, so the image itself can be freed.
        """
        return self._processor.page_tiles(image)

    def encode_tiles(
        self, pages: Sequence[Tensor], *, batch_tokens: int = DEFAULT_BATCH_TOKENS
    ) -> list[Tensor]:
        """Like `encode_pages`, from the results of `page_tiles`."""
        sizes = [len(tiles) * self.tiles.tokens_per_tile for tiles in pages]

        def encode(indexes: list[int]) -> list[Tensor]:
            return self._page_features([pages[index] for index in indexes], sizes[indexes[0]])

        return _in_batches(sizes, batch_tokens, encode)

    def encode_queries(
        self, texts: Sequence[str], *, batch_tokens: int = DEFAULT_BATCH_TOKENS
    ) -> list[Tensor]:
        """Encode query texts; texts with the same number of tokens share a model batch.

        Returns:
            All tokens of each query, [Q, H] on the CPU, in the model's dtype: prefix, text,
            augmentation. With `layer: projector` they are the LLM's input embeddings.
        """
        tokens = [self._processor.query_tokens(text) for text in texts]

        def encode(indexes: list[int]) -> list[Tensor]:
            return self._query_features([tokens[index] for index in indexes])

        return _in_batches([len(ids) for ids in tokens], batch_tokens, encode)

    def _page_features(self, pages: list[Tensor], num_tokens: int) -> list[Tensor]:
        pixels = torch.cat(pages).to(self._device, self._model.dtype)
        if self._layer == "projector":
            features = self._model.get_image_features(pixels, return_dict=True).pooler_output
            return list(features.reshape(len(pages), num_tokens, -1))
        ids = torch.tensor([self._processor.page_tokens(num_tokens)] * len(pages))
        ids = ids.to(self._device)
        hidden = self._hidden_state(input_ids=ids, pixel_values=pixels)
        is_image = ids[0] == self._processor.context_id
        return list(hidden[:, is_image])

    def _query_features(self, token_ids: list[list[int]]) -> list[Tensor]:
        ids = torch.tensor(token_ids).to(self._device)
        if self._layer == "projector":
            return list(self._model.get_input_embeddings()(ids))
        return list(self._hidden_state(input_ids=ids))

    def _hidden_state(self, **inputs: Tensor) -> Tensor:
        """The chosen hidden state of the LLM, [items, tokens, H]; -1 is after the last norm."""
        if self._layer == -1:
            return self._model(**inputs, use_cache=False).last_hidden_state
        outputs = self._model(**inputs, use_cache=False, output_hidden_states=True)
        return outputs.hidden_states[self._layer]


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
