"""The pages to learn from, by kind of source, and the documents that are held out."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from pretraining.printed.pages import PageFile, PageRow
from pretraining.tokens import kept_tokenizer, train_tokenizer
from pretraining.words import amount, date, number

_HELD_OUT_EVERY = 25  # one document in so many measures reading, and is not trained on
_RUN = 12  # words: what is quoted, and no chance
_OFFICE_PARTS = {"forms": ("office/form-", "office/invoice-"), "slides": ("office/slides-",)}
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

    def of_documents(self, named: tuple[str, ...]) -> "Pages":
        """Those of documents whose names begin so."""
        documents = [file.column("document") for file in self._files]
        return self.where([documents[file][page].startswith(named) for file, page in self._places])

    def texts(self) -> Iterator[str]:
        """What stands on each, in their order."""
        texts = [file.column("text") for file in self._files]
        return (texts[file][page] for file, page in self._places)

    def where(self, is_kept: Sequence[bool]) -> "Pages":
        """Some of them."""
        return Pages(self._files, list(compress(self._places, is_kept)))


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

    def held_out(self) -> dict[str, Pages]:
        """The pages that measure reading, by kind; some of what offices print is told apart too.

        They are of documents that are held out, and share no run of words with a page that is
        trained on: a text may stand in two documents, and offices quote. Kinds without such a page
        are left out.
        """
        trained, held = {}, {}
        for kind in self.kinds():
            trained[kind], held[kind] = self.trained(kind), self._pages(kind, is_held_out=True)
        held = _unseen(held, trained.values())
        office = held.get("office", Pages([], []))
        parts = {name: office.of_documents(named) for name, named in _OFFICE_PARTS.items()}
        return {name: pages for name, pages in (held | parts).items() if len(pages)}

    def kinds(self) -> list[str]:
        """The kinds of sources that there are files of."""
        return sorted({path.name.partition("-")[0] for path in self._files("*")})

    def _pages(self, kind: str, *, is_held_out: bool) -> Pages:
        files = [PageFile(path) for path in self._files(kind)]
        places = [
            (number, page)
            for number, file in enumerate(files)
            for page, document in enumerate(file.column("document"))
            if is_held(document) == is_held_out
        ]
        return Pages(files, places)

    def _files(self, kind: str) -> list[Path]:
        return sorted((self.folder / "pages").glob(f"{kind}-*.arrow"))

    def tokenizer(self, vocabulary: int) -> PreTrainedTokenizerFast:
        """The tokenizer; it is trained when it is asked for the first time."""
        return kept_tokenizer(
            self.folder / "tokenizer", lambda: train_tokenizer(self._tokenizer_texts(), vocabulary)
        )

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


def _unseen(held: Mapping[str, Pages], trained: Iterable[Pages]) -> dict[str, Pages]:
    """Held pages without those that have a run of words of a page that is trained on."""
    runs = {kind: [_runs(text) for text in pages.texts()] for kind, pages in held.items()}
    watched = {run for pages in runs.values() for page in pages for run in page}
    seen = {run for pages in trained for text in pages.texts() for run in _runs(text) & watched}
    return {
        kind: pages.where([not page & seen for page in runs[kind]]) for kind, pages in held.items()
    }


def _runs(text: str) -> set[int]:
    """Hashes of all runs of `_RUN` words."""
    words = text.lower().split()
    return {hash(tuple(words[at : at + _RUN])) for at in range(len(words) - _RUN + 1)}


def is_held(document: str) -> bool:
    """Whether a document measures reading; its name decides, whatever else there is."""
    return int(hashlib.sha256(document.encode()).hexdigest(), 16) % _HELD_OUT_EVERY == 0
