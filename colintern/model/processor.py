"""Turns pages and queries into the inputs of an InternVL model.

`InternVLProcessor` needs torchvision (for video), so tokenizer and image processor are combined
here by the same rules: an image becomes `<img>`, one `<IMG_CONTEXT>` for each token of each tile,
then `</img>`. Tiles and pixel values equal those of transformers' PIL backend bit by bit; its
torchvision backend differs by up to 0.02 in pixel values.
"""

from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from colintern.config.schema import BackboneConfig
from colintern.errors import BackboneError, one_line
from colintern.model.pixels import pixel_table
from colintern.model.quiet import quiet_transformers
from colintern.model.tiles import Tiler, tile_grid
from colintern.model.words import tokens_of_words

IMAGE_SLOT = "<image>"
IMAGE_PROCESSOR = GotOcr2ImageProcessorPil.__name__
START, END, CONTEXT = "<img>", "</img>", "<IMG_CONTEXT>"
# Starts of queries: each printable ASCII character, words, other scripts, a combining accent.
_PROBES = [
    *map(chr, range(32, 127)),
    *"the ing er What 2024 été \u0301e ж 页码 ページ صفحة — €".split(),
    " the",
    "\nthe",
]
_VOCABULARIES = ("tokenizer.json", "vocab.json", "*.model", "*.tiktoken")


class TilePlanner:
    """The number of tiles and tokens for a page of a given size; needs no pixels and no weights.

    Args:
        tile_height: pixels.
        tile_width: pixels.
        token_grid: rows and columns of image tokens in one tile.
        max_tiles: most tiles of a page, without the thumbnail.
        pad_to_grid: whether pages keep their shape.
    """

    def __init__(
        self,
        tile_height: int,
        tile_width: int,
        token_grid: tuple[int, int],
        max_tiles: int,
        pad_to_grid: bool = False,
    ) -> None:
        self._tile = (tile_height, tile_width)
        self._max_tiles, self._pad_to_grid = max_tiles, pad_to_grid
        self.token_grid = token_grid
        self.tokens_per_tile = token_grid[0] * token_grid[1]

    @property
    def tile_pixels(self) -> int:
        """Pixels of one tile."""
        return self._tile[0] * self._tile[1]

    @property
    def padded_tile(self) -> tuple[int, int] | None:
        """Height and width of a tile where pages are padded to whole tiles; see `token_boxes`."""
        return self._tile if self._pad_to_grid else None

    def tile_grid(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of tiles for a page of this size in pixels."""
        return tile_grid(width, height, self._tile, self._max_tiles, self._pad_to_grid)

    def num_page_tokens(self, width: int, height: int) -> int:
        """Tokens of a page: of all its tiles, and of a thumbnail if there is more than one tile."""
        rows, columns = self.tile_grid(width, height)
        tiles = rows * columns
        return self.tokens_per_tile * (tiles + (tiles > 1))


class Processor:
    """Makes model inputs from images and texts.

    Args:
        folder: the checkpoint folder.
        config: prompts and tiling.
        token_grid: rows and columns of image tokens in one tile.

    Raises:
        BackboneError: the tokenizer or image processor files are missing, damaged, or belong to
            another model.
    """

    def __init__(self, folder: Path, config: BackboneConfig, token_grid: tuple[int, int]) -> None:
        self._config = config
        if not any(list(folder.glob(pattern)) for pattern in _VOCABULARIES):
            raise BackboneError(
                f"backbone.path={config.path}: it has no tokenizer (neither tokenizer.json "
                "nor another vocabulary); copy or download it again"
            )
        self._tokenizer = self._loaded("tokenizer", AutoTokenizer, folder)
        self._images = self._loaded("image processor", GotOcr2ImageProcessorPil, folder)
        size = self._images.size
        self.tile = (size.height, size.width) if size else (0, 0)
        max_tiles, pad_to_grid = config.max_tiles, config.pad_to_grid
        self.tiles = TilePlanner(*self.tile, token_grid, max_tiles, pad_to_grid)
        resample = Image.Resampling(self._images.resample)
        self.tiler = Tiler(*self.tile, max_tiles, resample, pad_to_grid)
        self.context_id = self._special(CONTEXT)
        before, slot, after = config.page_prompt.partition(IMAGE_SLOT)
        self._page_start = [*self._plain(before), self._special(START)]
        self._page_end = [self._special(END), *(self._plain(after) if slot else [])]

    def page_tokens(self, num_image_tokens: int) -> list[int]:
        """The token ids of a page: the prompt with the image at its `<image>`, or at the end."""
        return [*self._page_start, *[self.context_id] * num_image_tokens, *self._page_end]

    def query_tokens(self, text: str) -> list[int]:
        """The token ids of a query: prefix, text, augmentation (the padding token, repeated)."""
        augmentation = [self.pad_id] * self._config.query_augmentation_tokens
        return [*self._plain(self._config.query_prefix + text), *augmentation]

    def query_token_texts(self, text: str) -> list[str]:
        """What each of `query_tokens` stands for; a part of a character is shown as U+FFFD."""
        return [self._tokenizer.decode([token]) for token in self.query_tokens(text)]

    def query_words(self, text: str) -> tuple[tuple[int, ...], ...] | None:
        """Of each word of a query, which of `query_tokens` it is; see `tokens_of_words`.

        None too where the tokenizer does not tell where its tokens stand in the text.
        """
        if not self._tokenizer.is_fast:
            return None
        prefix = self._config.query_prefix
        spans = self._tokens(prefix + text, return_offsets_mapping=True)["offset_mapping"]
        shift = len(prefix)
        return tokens_of_words(text, [(begin - shift, end - shift) for begin, end in spans])

    def pixel_table(self) -> Tensor:
        """What the model sees for each 8-bit value of each channel: [3, 256] float32."""
        return pixel_table(self._images)

    def joins_prefix(self) -> bool:
        """Whether some texts get different ids after the prefix than alone.

        Early versions tokenised prefix and text separately: if true, their stores cannot be used.
        """
        prefix, apart = self._config.query_prefix, self._plain(self._config.query_prefix)
        return any(self._plain(prefix + text) != [*apart, *self._plain(text)] for text in _PROBES)

    @property
    def num_ids(self) -> int:
        """The number of ids that texts, images and augmentation can use: 1 + the largest id."""
        image = (self._special(token) for token in (START, END, CONTEXT))
        return max(self._tokenizer.vocab_size, self.pad_id + 1, *(number + 1 for number in image))

    @property
    def pad_id(self) -> int:
        """The id of the padding token; of the end-of-text token if there is no padding token."""
        pad = self._tokenizer.pad_token_id
        return self._tokenizer.eos_token_id if pad is None else pad

    def _loaded(self, what: str, kind: Any, folder: Path) -> Any:
        try:
            with quiet_transformers():
                return kind.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, TypeError, AttributeError) as error:  # damaged files
            raise BackboneError(
                f"backbone.path={self._config.path}: its {what} cannot be loaded "
                f"({one_line(error)})"
            ) from error

    def _plain(self, text: str) -> list[int]:
        """Token ids of a text; a special token in it is read as plain characters."""
        return self._tokens(text)["input_ids"]

    def _tokens(self, text: str, **wanted: bool) -> Any:
        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=True, **wanted)

    def _special(self, token: str) -> int:
        number = self._tokenizer.convert_tokens_to_ids(token)
        if number is None or number == self._tokenizer.unk_token_id:
            raise BackboneError(
                f"backbone.path={self._config.path}: its tokenizer has no {token}; it is not an "
                "InternVL -hf checkpoint"
            )
        return number
