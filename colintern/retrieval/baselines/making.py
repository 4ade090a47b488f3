"""What a worker does for the baseline of a model: it loads the model once, and makes files.

Only here, in a worker, is the model known: whether it takes images, and how it compares vectors.
That is the first file that is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from PIL import Image

from colintern import storage
from colintern.data.canonical import PageLocation, read_images
from colintern.data.page_rows import read_texts
from colintern.errors import one_line
from colintern.images.decode import decode
from colintern.retrieval.baselines.frame import BaselineError
from colintern.retrieval.baselines.model import ModelFiles
from colintern.retrieval.baselines.vectors import Vectors, joined, save_vectors
from colintern.runtime.parts import Maker, Part
from colintern.storage.process import host
from colintern.streams import read_ahead

if TYPE_CHECKING:
    from colintern.retrieval.baselines.encoding import Encoder

_IMAGES_AT_ONCE = 8  # decoded, of about 15 MB each, while as many are encoded


@dataclass(frozen=True)
class Questions:
    """Queries to encode: their ordinals and texts."""

    ordinals: Sequence[int]
    texts: Sequence[str]


@dataclass(frozen=True)
class Pages:
    """Pages to encode: their ordinals, and where they stand in the corpus."""

    ordinals: Sequence[int]
    locations: Sequence[PageLocation]


@dataclass(frozen=True)
class Facts:
    """What is known of a model once it is loaded.

    Attributes:
        sha256: of its files.
        takes_images: whether it sees pages; it reads their texts otherwise.
        similarity: what it compares vectors by.
        dim: how wide a vector is; None where the model does not tell.
        dtype: what it computed in.
        device: where: `cpu` or `cuda`.
        attention_kernel: how it computed attention; None where transformers does not tell.
        image_processor: the class that prepares its images; None for a model of texts.
    """

    sha256: str
    takes_images: bool
    similarity: str
    dim: int | None
    dtype: str
    device: str
    attention_kernel: str | None
    image_processor: str | None


def open_maker(files: ModelFiles, facts: Facts | None, device: str) -> Maker:
    """A worker's maker: writes vectors for `Questions` and `Pages`, `Facts` where there is no task.

    Args:
        files: which model.
        facts: what was found when it was first opened; None where it was not.
        device: a torch device.

    Raises:
        BaselineError: the model cannot be used, or computes in another way than at first; or the
            package is missing where the worker is.
    """
    try:  # only workers need it
        from colintern.retrieval.baselines.encoding import open_encoder
    except ImportError as error:
        raise BaselineError(
            f"--model: needs the package sentence-transformers on every node ({one_line(error)}); "
            "pip install 'colintern[export]'"
        ) from error
    encoder = open_encoder(files, device)
    found = _facts(files, encoder, device)
    if facts is not None and found != facts:
        raise _otherwise(files.name, facts, found)

    def make(part: Part) -> None:
        if part.task is None:
            storage.write_json(part.path, asdict(found))
        elif isinstance(part.task, Questions):
            save_vectors(part.path, _of_questions(encoder, part.task, files.name))
        else:
            save_vectors(part.path, _of_pages(encoder, part.task))

    return make


def _facts(files: ModelFiles, encoder: Encoder, device: str) -> Facts:
    return Facts(
        files.sha256,
        encoder.takes_images,
        encoder.similarity,
        encoder.dim,
        encoder.dtype,
        device.split(":")[0],
        encoder.attention_kernel,
        encoder.image_processor,
    )


def _otherwise(name: str, first: Facts, here: Facts) -> BaselineError:
    """Vectors of both would be searched together, and only one way of computing be told."""
    before, now = asdict(first), asdict(here)
    other = [key for key in before if before[key] != now[key]]
    was, would = (", ".join(f"{key}={one[key]}" for key in other) for one in (before, now))
    return BaselineError(
        f"--model {name}: was begun with {was}, and would go on with {would} on {host()}; use "
        "machines as before, or choose another --name"
    )


def _of_questions(encoder: Encoder, task: Questions, name: str) -> Vectors:
    vectors = joined(task.ordinals, encoder.queries(task.texts))
    if len(vectors) < len(task.ordinals):
        raise BaselineError(f"--model {name}: gives no vector at all for some of the queries")
    return vectors


def _of_pages(encoder: Encoder, task: Pages) -> Vectors:
    """The vectors of pages; a page without a text has none for a model that reads."""
    if encoder.takes_images:
        batches = read_ahead(_images(task.locations), ahead=1)
        return joined(task.ordinals, [one for batch in batches for one in encoder.images(batch)])
    texts = read_texts(task.locations)
    kept = [(at, text) for at, text in zip(task.ordinals, texts, strict=True) if text is not None]
    found = encoder.texts([text for _, text in kept]) if kept else []
    return joined([ordinal for ordinal, _ in kept], found)


def _images(locations: Sequence[PageLocation]) -> Iterator[list[Image.Image]]:
    """Page images, decoded as for our own model, a batch at a time."""
    files = read_images(locations)
    for first in range(0, len(files), _IMAGES_AT_ONCE):
        yield [decode(file) for file in files[first : first + _IMAGES_AT_ONCE]]
