"""Lets an InternVL model of sentence-transformers resize pages as our own backbone does."""

from typing import Any

from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil


def image_processor_of(model: Any) -> Any:
    """What prepares the images of a model of sentence-transformers; None if it takes none."""
    return getattr(getattr(model[0], "processor", None), "image_processor", None)


def resize_with_pillow(model: Any, folder: str) -> None:
    """Let an InternVL model cut and resize pages with Pillow; any other is left as it is.

    Once torchvision is installed, its resize is the default, and moves embeddings by 1e-2. No file
    of a model can ask for Pillow.

    Args:
        model: of sentence-transformers.
        folder: it was loaded from.
    """
    if type(image_processor_of(model)).__name__.startswith("GotOcr2ImageProcessor"):
        pillow = GotOcr2ImageProcessorPil.from_pretrained(folder, trust_remote_code=False)
        model[0].processor.image_processor = pillow
