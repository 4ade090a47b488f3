"""The three things a dataset is made of."""

from dataclasses import dataclass

from colintern.data.drafted import DRAFTED


@dataclass(frozen=True)
class Page:
    """One page image (encoded, as PNG or JPEG) of the corpus.

    Attributes:
        page_id: unique in its dataset.
        image: the bytes as they were found; never empty for a page that can be used.
        doc_id: the document that it is a page of.
        text: what can be read on it, where that is known; nothing is trained on it.
        number: its page number in the document, from 1.
        pixels_sha256: the hash of what it shows (`images.pixels`), once it has been decoded.
    """

    page_id: str
    image: bytes
    doc_id: str | None = None
    text: str | None = None
    number: int | None = None
    pixels_sha256: str | None = None


@dataclass(frozen=True)
class Query:
    """One text query; `source` says where it is from, where that is known."""

    query_id: str
    text: str
    language: str | None = None
    source: str | None = None

    @property
    def is_drafted(self) -> bool:
        """Whether it was drafted from the text of its page."""
        return (self.source or "").startswith(DRAFTED)


@dataclass(frozen=True)
class Judgement:
    """How relevant one page is to one query; 0 is not relevant."""

    query_id: str
    page_id: str
    score: int
