"""A model of sentence-transformers, opened: texts and page images to vectors.

Its own methods encode, with its own prompts. What comes out is such that MaxSim of dot products,
divided by the number of query tokens, ranks pages as the similarity of the model does: vectors are
normalised where that is the cosine. A model of one vector gives a page of one token.

Shapes: P tokens of a page or query, E embedding width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from torch import Tensor
from torch.nn import functional
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.utils import logging

from colintern.errors import one_line
from colintern.retrieval.baselines.frame import BaselineError
from colintern.retrieval.baselines.model import ModelFiles

_IMAGES_AT_ONCE = 4  # in a batch of the model; pages take hundreds of tokens each, or thousands
_TEXTS_AT_ONCE = 32
_RANKED_ALIKE = ("maxsim", "meanmaxsim", "cosine", "dot")
_DAMAGES = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
    SafetensorError,
)


class Encoder:
    """A model that is ready to encode.

    Args:
        model: of sentence-transformers.
        name: for messages.

    Attributes:
        takes_images: whether pages are given as images; as texts otherwise.
        similarity: what the model compares vectors by.

    Raises:
        BaselineError: it compares them in another way than search does.
    """

    def __init__(self, model: MultiVectorEncoder | SentenceTransformer, name: str) -> None:
        self._model: Any = model
        self._name = name
        self.takes_images = model.supports("image")
        self.similarity = str(model.similarity_fn_name)
        if self.similarity not in _RANKED_ALIKE:
            raise BaselineError(
                f"--model {name}: compares vectors by '{self.similarity}', which search does not "
                f"know; it knows {', '.join(_RANKED_ALIKE)}"
            )

    @property
    def dim(self) -> int | None:
        """How wide a vector is; None where the model does not tell."""
        return self._model.get_embedding_dimension()

    @property
    def attention_kernel(self) -> str | None:
        """What transformers computes attention with, where it tells."""
        return getattr(self._model.config, "_attn_implementation", None)

    @property
    def image_processor(self) -> str | None:
        """The class that prepares images, if the model takes some."""
        processor = _image_processor_of(self._model)
        return type(processor).__name__ if processor and self.takes_images else None

    @property
    def dtype(self) -> str:
        """What the model computes in."""
        return str(self._model.dtype).removeprefix("torch.")

    def images(self, images: Sequence[Image.Image]) -> list[Tensor]:
        """The vectors of page images (RGB): token_PE of each, float32 on the CPU."""
        return self._checked(
            self._model.encode_document(
                list(images), batch_size=_IMAGES_AT_ONCE, show_progress_bar=False
            )
        )

    def texts(self, texts: Sequence[str]) -> list[Tensor]:
        """The vectors of the texts of pages; as `images`."""
        return self._checked(
            self._model.encode_document(
                list(texts), batch_size=_TEXTS_AT_ONCE, show_progress_bar=False
            )
        )

    def queries(self, texts: Sequence[str]) -> list[Tensor]:
        """The vectors of queries; as `images`."""
        return self._checked(
            self._model.encode_query(
                list(texts), batch_size=_TEXTS_AT_ONCE, show_progress_bar=False
            )
        )

    def _checked(self, found: Sequence[Any]) -> list[Tensor]:
        """As float32 tensors of two dimensions, normalised for the cosine."""
        vectors = [torch.as_tensor(one).float().cpu() for one in found]
        vectors = [one if one.dim() == 2 else one[None] for one in vectors]
        if not all(one.isfinite().all() for one in vectors):
            raise BaselineError(
                f"--model {self._name}: gives values that are not finite, in {self.dtype}"
            )
        if self.similarity == "cosine":
            vectors = [functional.normalize(one, dim=1) for one in vectors]
        return vectors


def open_encoder(files: ModelFiles, device: str) -> Encoder:
    """Load a model.

    On a CPU it computes in float32, as bfloat16 is many times slower there; on a GPU in the type
    that its configuration says.

    Args:
        files: which one.
        device: a torch device.

    Raises:
        BaselineError: it cannot be loaded, or compares vectors in a way that search does not know.
    """
    kind = MultiVectorEncoder if files.is_multi_vector else SentenceTransformer
    options = {"dtype": torch.float32} if device == "cpu" else {}
    folder = files.folder()
    logging.disable_progress_bar()
    try:
        model = kind(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs=options,
        )
    except _DAMAGES as error:
        raise BaselineError(
            f"--model {files.name}: cannot be loaded ({one_line(error)})"
        ) from error
    _make_tiles_alike(model, folder)
    return Encoder(model.eval(), files.name)


def _make_tiles_alike(model: Any, folder: Path) -> None:
    """Let an InternVL model cut and resize pages as our own backbone does: with Pillow.

    Once torchvision is installed, its resize is the default, and moves embeddings by 1e-2. No file
    of a model can ask for Pillow.
    """
    if type(_image_processor_of(model)).__name__.startswith("GotOcr2ImageProcessor"):
        model[0].processor.image_processor = GotOcr2ImageProcessorPil.from_pretrained(
            folder, trust_remote_code=False
        )


def _image_processor_of(model: Any) -> Any:
    return getattr(getattr(model[0], "processor", None), "image_processor", None)
