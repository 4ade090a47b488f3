"""Drafting questions about the pages of a dataset: what of their texts is said on few pages."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from operator import attrgetter
from random import Random

from colintern import log
from colintern.data.canonical import CanonicalDataset
from colintern.data.page_texts import TEXT_COLUMNS, text_of
from colintern.data.parquet import num_rows, stream_rows
from colintern.data.text import normalised
from colintern.drafting.candidates import KINDS, SENTENCE, captions, half_sentences, headings
from colintern.drafting.paragraphs import paragraphs, repeated_lines
from colintern.drafting.word_index import WordIndex
from colintern.streams import packed

_MAX_PAGES = 2  # that the words of a question may stand on together, its own among them
_MIN_RARE_WORDS = 2  # of a half sentence
# Of the texts of a document that are in memory at once; where repeated lines are looked for.
_CHARACTERS_AT_ONCE = 16 * 2**20


@dataclass(frozen=True)
class Draft:
    """A question about a page, and what of the page it is: one of `KINDS`."""

    query: str
    page_id: str
    kind: str


@dataclass(frozen=True)
class Drafted:
    """What was drafted.

    Attributes:
        drafts: in the order of the pages.
        num_pages: of the dataset.
        num_without_text: pages that have no text layer.
    """

    drafts: Sequence[Draft]
    num_pages: int
    num_without_text: int

    def told(self) -> str:
        """For a person: `3 questions about 2 of 4 pages (1 heading, 2 sentences); ...`."""
        kinds = Counter(draft.kind for draft in self.drafts)
        of_kinds = ", ".join(_counted(kinds[kind], kind) for kind in KINDS if kinds[kind])
        pages = len({draft.page_id for draft in self.drafts})
        return (
            f"{_counted(len(self.drafts), 'question')} about {pages:,} of {self.num_pages:,} pages "
            f"({of_kinds}); no text layer in {self.num_without_text:,} of {self.num_pages:,} pages"
        )


@dataclass(frozen=True)
class _Page:
    page_id: str
    document: str | None
    text: str | None


def draft(
    dataset: CanonicalDataset, per_page: int, seed: int, asked: Sequence[str] = ()
) -> Drafted:
    """Draft questions about the pages of a dataset, from their texts alone.

    The words of a question stand together on two pages of the dataset at most, and no two pages
    have the same question. What stands on a page again and again in a document (running heads,
    footers) is never one.

    The texts are read twice. The index of their words stays in memory, see `WordIndex`.

    Args:
        dataset: whose pages have texts, or not.
        per_page: how many questions a page has at most.
        seed: of what is chosen; the same dataset and seed give the same questions.
        asked: texts of questions that are there already.
    """
    files = dataset.corpus_files
    total = num_rows(files)
    with log.Progress("questions", "reading", "pages", total) as progress:
        index = WordIndex(page.text for page in _counting(_pages(files), progress))
    known = set(map(normalised, asked))
    drafts: list[Draft] = []
    num_without_text = 0
    with log.Progress("questions", "drafting", "pages", total) as progress:
        for pages in _documents(_counting(_pages(files), progress)):
            num_without_text += sum(page.text is None for page in pages)
            repeated = repeated_lines([page.text for page in pages if page.text])
            for page in pages:
                kinds = _candidates(page, repeated, Random(f"{seed} {page.page_id}"))
                drafts += _chosen(page, kinds, per_page, index, known)
    return Drafted(drafts, total, num_without_text)


def _pages(files: Sequence[str]) -> Iterator[_Page]:
    for row in stream_rows(files, ["corpus-id"], ["doc-id", *TEXT_COLUMNS]):
        yield _Page(str(row["corpus-id"]), row.get("doc-id"), text_of(row))


def _counting(pages: Iterator[_Page], progress: log.Progress) -> Iterator[_Page]:
    for page in pages:
        yield page
        progress.add(1)


def _documents(pages: Iterator[_Page]) -> Iterator[list[_Page]]:
    """The pages of each document together, of a very large one in several parts."""
    for _, found in groupby(pages, attrgetter("document")):
        yield from packed(found, lambda page: len(page.text or ""), _CHARACTERS_AT_ONCE)


def _candidates(page: _Page, repeated: set[str], draw: Random) -> Mapping[str, Sequence[str]]:
    """By kind, what may be asked, the best first."""
    text = paragraphs(page.text or "", repeated)
    found = headings(text), captions(text), half_sentences(text, draw)
    return dict(zip(KINDS, found, strict=True))


def _chosen(
    page: _Page,
    candidates: Mapping[str, Sequence[str]],
    per_page: int,
    index: WordIndex,
    known: set[str],
) -> list[Draft]:
    """The questions about a page: of each kind in turn, those first that are about it alone."""
    distinct: dict[str, list[str]] = {}
    for kind, queries in candidates.items():
        counts = {query: index.num_pages(query) for query in queries}
        good = [query for query, count in counts.items() if 1 <= count <= _MAX_PAGES]
        if kind == SENTENCE:  # common words that stand together by chance
            good = [query for query in good if index.num_rare(query) >= _MIN_RARE_WORDS]
        distinct[kind] = sorted(good, key=counts.__getitem__)
    chosen: list[Draft] = []
    for turn in zip_longest(*distinct.values()):
        for kind, query in zip(distinct, turn, strict=True):
            if query is None or len(chosen) == per_page or normalised(query) in known:
                continue
            known.add(normalised(query))
            chosen.append(Draft(query, page.page_id, kind))
    return chosen


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
