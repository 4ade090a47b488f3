"""Putting the demo corpus together and writing it as canonical dataset folders."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import PIL

from colintern import log, storage
from colintern.data.canonical import DATASET_DONE
from colintern.data.demo.fields import family_fields
from colintern.data.demo.forms import FORMS, DemoPage, form_page, reference_page
from colintern.data.demo.prose import LIBRARY_VERSION, Passage, passages
from colintern.data.demo.queries import DemoQuery, PageIndex, write_queries
from colintern.data.demo.render import render
from colintern.data.entities import Judgement, Page, Query
from colintern.data.writing import write_dataset

_FAMILY_SIZE = 10
DEMO_VERSION = 5  # part of the seed and of the folders' names: raise it when the corpus changes


@dataclass(frozen=True)
class DemoSize:
    """How much a split holds; pages are square with `side` pixels."""

    families: int
    reference_pages: int
    queries: int
    side: int = 224


_SIZES = {
    ("demo", "train"): DemoSize(160, 400, 2_000),
    ("demo", "dev"): DemoSize(30, 100, 500),
    ("demo", "test"): DemoSize(80, 200, 2_000),
    ("demo-small", "train"): DemoSize(16, 40, 240),
    ("demo-small", "dev"): DemoSize(5, 10, 60),
    ("demo-small", "test"): DemoSize(8, 20, 100),
    ("demo-long", "train"): DemoSize(16, 40, 200, side=448),
    ("demo-long", "dev"): DemoSize(4, 10, 50, side=448),
    ("demo-long", "test"): DemoSize(8, 20, 200, side=448),
}


def write_demo(folder: str, variant: str, split: str) -> None:
    """Write one split of a demo corpus as a canonical dataset folder, finished."""
    details = write_demo_files(folder, variant, split)
    storage.write_json(storage.join(folder, DATASET_DONE), details)


def write_demo_files(folder: str, variant: str, split: str) -> dict[str, Any]:
    """Write all of it but `dataset.json`, whose content is returned.

    The same bytes on every machine with the same Pillow, under any Python.

    Args:
        folder: path or URL.
        variant: `demo`; `demo-small`, a tenth of it; `demo-long`, pages of several tiles.
        split: `train`, `dev` or `test`: other modules, families and field values each.
    """
    size = _SIZES[variant, split]
    pages, queries = build_split(variant, split)
    index = PageIndex(pages)
    named = [(f"{split}-q{number:05d}", query) for number, query in enumerate(queries)]
    with log.Progress("data", f"printing {variant} {split}", "pages", len(pages)) as progress:
        write_dataset(
            folder,
            _drawn(pages, size.side, progress),
            [Query(query_id, query.text, "en", query.kind) for query_id, query in named],
            [
                Judgement(query_id, page_id, 1)
                for query_id, query in named
                for page_id in index.bearing(query.asked)
            ],
        )
    return {
        "variant": variant,
        "split": split,
        "version": DEMO_VERSION,
        "pages": len(pages),
        "queries": len(named),
        "query_kinds": dict(sorted(Counter(query.kind for query in queries).items())),
        "python": LIBRARY_VERSION,
        "pillow": PIL.__version__,
    }


def _drawn(pages: Sequence[DemoPage], side: int, progress: log.Progress) -> Iterator[Page]:
    for page in pages:
        yield Page(page.page_id, render(page.lines, side), page.family, page.text)
        progress.add(1)


@dataclass(frozen=True)
class DemoCounts:
    """What a split holds, known without drawing a page; pages are square with `side` pixels."""

    num_pages: int
    side: int
    texts: list[str]
    num_pairs: int


def demo_counts(variant: str, split: str) -> DemoCounts:
    """What `write_demo` would write."""
    pages, queries = build_split(variant, split)
    index = PageIndex(pages)
    return DemoCounts(
        num_pages=len(pages),
        side=_SIZES[variant, split].side,
        texts=[query.text for query in queries],
        num_pairs=sum(len(index.bearing(query.asked)) for query in queries),
    )


def build_split(variant: str, split: str) -> tuple[list[DemoPage], list[DemoQuery]]:
    """The pages, sorted by id, and the queries of a split, not yet drawn or judged."""
    size = _SIZES[variant, split]
    draw = random.Random(f"{DEMO_VERSION} {variant} {split}")
    pages = [*_families(split, size, draw), *_reference_pages(split, size, draw)]
    pages.sort(key=lambda page: page.page_id)
    return pages, list(write_queries(pages, PageIndex(pages), size.queries, draw))


def _families(split: str, size: DemoSize, draw: random.Random) -> Iterator[DemoPage]:
    bodies = draw.sample(passages()[split], size.families)
    for number, body in enumerate(bodies):
        kind = draw.choice(sorted(FORMS))
        family = f"{split}-{kind}-{number:03d}"
        for member, fields in enumerate(family_fields(split, _FAMILY_SIZE, draw)):
            yield form_page(f"{family}-{member}", family, kind, fields, body, size.side)


def _reference_pages(split: str, size: DemoSize, draw: random.Random) -> Iterator[DemoPage]:
    """Pages of neighbouring passages of one module, enough of them to fill the page."""
    wanted_words = 35 * (size.side // 224) ** 2
    found: list[list[Passage]] = []
    for passage in passages()[split]:
        is_full = found and sum(len(p.text.split()) for p in found[-1]) >= wanted_words
        if not found or is_full or found[-1][0].module != passage.module:
            found.append([])
        found[-1].append(passage)
    full = [page for page in found if sum(len(p.text.split()) for p in page) >= wanted_words // 2]
    for number, page in enumerate(draw.sample(full, size.reference_pages)):
        yield reference_page(f"{split}-reference-{number:03d}", page, size.side)
