"""The pages to learn from, by kind of source, and the documents that are held out."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from pretraining.printed.pages import PageFile, PageRow
from pretraining.tokens import train_tokenizer
from pretraining.words import amount, date, number

_HELD_OUT_EVERY = 25  # one document in so many measures reading, and is not trained on
_LONGEST = 4_000  # characters of a page that the tokenizer is trained on
_NUMBERS = 30_000


class Pages:
    """Some pages of several files.

    Args:
        files: the files.
        places: the number of the file and of the page in it.
    """

    def __init__(self, files: Sequence[PageFile], places: Sequence[tuple[int, int]]) -> None:
        self._files, self._places = files, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> PageRow:
        """The page of that number, from 0."""
        file, page = self._places[number]
        return self._files[file][page]


@dataclass(frozen=True)
class Corpus:
    """A folder of pages, `KIND-*.arrow`, and the tokenizer made for them.

    Attributes:
        folder: with `pages/` and `tokenizer/`.
        words: that the tokenizer should know.
    """

    folder: Path
    words: tuple[str, ...]

    def trained(self, kind: str) -> Pages:
        """The pages of a kind that are trained on."""
        return self._pages(kind, is_held_out=False)

    def held_out(self, kind: str, named: tuple[str, ...] = ("",)) -> Pages:
        """The pages of a kind that measure reading.

        Args:
            kind: of source.
            named: how the names of documents begin; those with other names are left out.
        """
        return self._pages(kind, is_held_out=True, named=named)

    def _pages(self, kind: str, *, is_held_out: bool, named: tuple[str, ...] = ("",)) -> Pages:
        files = [PageFile(path) for path in self._files(kind)]
        places = [
            (number, page)
            for number, file in enumerate(files)
            for page, document in enumerate(file.column("document"))
            if is_held(document) == is_held_out and document.startswith(named)
        ]
        return Pages(files, places)

    def _files(self, kind: str) -> list[Path]:
        return sorted((self.folder / "pages").glob(f"{kind}-*.arrow"))

    def tokenizer(self, vocabulary: int = 8_192) -> PreTrainedTokenizerFast:
        """The tokenizer; it is trained when it is asked for the first time."""
        path = self.folder / "tokenizer"
        if not path.exists():
            train_tokenizer(self._tokenizer_texts(), vocabulary).save_pretrained(path)
        return PreTrainedTokenizerFast.from_pretrained(path, trust_remote_code=False)

    def _tokenizer_texts(self) -> Iterator[str]:
        for path in self._files("*"):
            file = PageFile(path)
            for document, text in zip(file.column("document"), file.column("text"), strict=True):
                if not is_held(document):
                    yield text[:_LONGEST]
        draw = random.Random("tokenizer")
        for _ in range(_NUMBERS):
            yield draw.choice((number, amount, date))(draw)
        yield from self.words


def is_held(document: str) -> bool:
    """Whether a document measures reading; its name decides, whatever else there is."""
    return int(hashlib.sha256(document.encode()).hexdigest(), 16) % _HELD_OUT_EVERY == 0
