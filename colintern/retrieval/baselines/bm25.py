"""BM25 over the texts of pages, where the corpus has them: what reading without looking reaches.

Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), as Lucene computes it, by
bm25s. The retriever is given pixels only; BM25 is given the text, in `words`.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import bm25s
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colintern import log
from colintern.data.canonical import CanonicalDataset
from colintern.data.views import View
from colintern.data.words import RULES, words
from colintern.retrieval.baselines.frame import Baseline, MeasuredRun
from colintern.retrieval.baselines.texts import summary_of_texts, texts_of_pages
from colintern.runs.baselines import BM25
from colintern.runs.versions import MEASURING, versions
from colintern.search import order
from colintern.search.searcher import QUERY_BLOCK

# Lucene's: how soon a word that is repeated counts no more; how much a page's length counts.
K1, B = 1.2, 0.75
_METHOD = "lucene"


class Bm25:
    """An index of the texts of some pages.

    While it is made it takes 11 KB for a page of 400 words: 1.1 GB for 100,000 pages.

    Args:
        texts: the ordinal of a page and its text, in any order. A page that is not among them, or
            whose text has no word, is found by no query and counts in no mean.
        num_pages: of the corpus.
    """

    def __init__(self, texts: Iterable[tuple[int, str]], num_pages: int) -> None:
        self._num_pages = num_pages
        self._numbers: dict[str, int] = {}
        ordinals, indexed = [], []
        for ordinal, text in texts:
            # A word's number is one object wherever it stands, which takes 8 bytes each time.
            if found := [self._numbers.setdefault(w, len(self._numbers)) for w in words(text)]:
                ordinals.append(ordinal)
                indexed.append(found)
        self._ordinal_N = np.array(ordinals, np.int64)
        # float64, rounded once: ties must not depend on the order in which words are added up.
        self._index = bm25s.BM25(k1=K1, b=B, method=_METHOD, dtype="float64")
        if indexed:
            self._index.index((indexed, self._numbers), False, show_progress=False)

    def scores(self, query: str) -> NDArray[np.float32]:
        """The score of every page, 0 without a word of the query; a word that is repeated adds."""
        score_D = np.zeros(self._num_pages, np.float32)
        known = [self._numbers[word] for word in words(query) if word in self._numbers]
        if known:
            score_D[self._ordinal_N] = self._index.get_scores_from_ids(known)
        return score_D

    def best(self, queries: Iterable[str], depth: int) -> Iterator[Tensor]:
        """The best pages of every query: key_BK of `search.order`, for some after the others.

        A page without a word of the query is not found: else those with the smallest ids would be.
        """
        rows: list[Tensor] = []
        for query in queries:
            score_D = torch.from_numpy(self.scores(query))
            ordinal_N = score_D.nonzero()[:, 0]
            key_N = order.to_keys(score_D[ordinal_N], ordinal_N)
            rows.append(order.best(key_N[None], depth))
            if len(rows) == QUERY_BLOCK:
                yield torch.cat(rows)
                rows = []
        if rows:
            yield torch.cat(rows)


def measure_bm25(measured: MeasuredRun) -> list[dict[str, Any]]:
    """Measure BM25 on every dataset whose corpus has texts; the metrics."""
    documents = []
    for dataset in measured.datasets:
        view, _ = measured.view(dataset)
        corpus = measured.pages(dataset)
        num_texts, sha256 = summary_of_texts(view, corpus)
        if not num_texts:
            log.say(
                "baseline",
                "bm25  %s: none of its %s pages has a text (column 'text' of corpus/), so there is "
                "nothing to search; ingest keeps that of PDFs, of those of before with --replace",
                dataset,
                f"{len(view.pages):,}",
            )
            continue
        if num_texts < len(view.pages):
            log.say(
                "baseline",
                "bm25  %s: %s of its %s pages have no text, and are never found",
                dataset,
                f"{len(view.pages) - num_texts:,}",
                f"{len(view.pages):,}",
            )
        settings = {"k1": K1, "b": B, "method": _METHOD}
        baseline = Baseline(
            BM25,
            "bm25",
            about={**settings, "pages_with_text": num_texts},
            protocol={
                "score": f"BM25, k1 {K1}, b {B}, float64; a page without a word of the query: none",
                "encoding": {"pages": "text of the corpus", "words": RULES},
                "versions": versions(("bm25s", *MEASURING)),
            },
            inputs={**settings, "words": RULES, "texts_sha256": sha256},
        )
        documents.append(measured.record(baseline, dataset, partial(_search, corpus)))
    return documents


def _search(corpus: CanonicalDataset, view: View, depth: int) -> Iterator[Tensor]:
    index = Bm25(texts_of_pages(view, corpus), len(view.pages))
    return index.best(view.texts.to_pylist(), depth)
