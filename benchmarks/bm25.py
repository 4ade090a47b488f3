"""The yardstick: BM25 over the texts that are printed on the demo's pages.

It reads the pages perfectly, where the retriever has to read pixels; it knows nothing of where
words stand or belong together. Robertson and Zaragoza (2009), with k1 = 1.2 and b = 0.75.
"""

import math
from collections import Counter

import numpy as np

from colintern.data.demo.build import build_split
from colintern.data.demo.queries import PageIndex, words
from colintern.evaluation.metrics import per_query_metrics

K1, B = 1.2, 0.75
DEPTH = 100


def main() -> None:
    """Print nDCG@5 of BM25 for every split, by kind of query."""
    print(f"{'split':<8}{'pages':>7}{'queries':>9}{'nDCG@5':>9}{'Recall@1':>10}   by kind")
    for split in ("train", "dev", "test"):
        pages, queries = build_split("demo", split)
        index = PageIndex(pages)
        texts = [words(page.text) for page in pages]
        scorer = _Bm25(texts)
        ids = [page.page_id for page in pages]
        ranking, judgements = {}, {}
        for number, query in enumerate(queries):
            scores = scorer.scores(words(query.text))
            best = np.lexsort((np.array(ids), -scores))[:DEPTH]
            name = f"q{number:05d}"
            ranking[name] = [ids[place] for place in best]
            judgements[name] = dict.fromkeys(index.bearing(query.asked), 1)
        found = per_query_metrics(ranking, judgements)
        values = np.asarray(found.values["ndcg_at_5"])
        first = np.asarray(found.values["recall_at_1"])
        numbers = [int(query_id[1:]) for query_id in found.query_ids.to_pylist()]
        kinds = np.array([queries[number].kind for number in numbers])
        parts = "  ".join(
            f"{kind} {values[kinds == kind].mean():.3f}" for kind in sorted(set(kinds))
        )
        print(
            f"{split:<8}{len(pages):>7}{len(queries):>9}{values.mean():>9.3f}{first.mean():>10.3f}"
            f"   {parts}"
        )


class _Bm25:
    """Scores of all pages for a query."""

    def __init__(self, texts: list[list[str]]) -> None:
        mean_length = sum(map(len, texts)) / len(texts)
        self._num_pages = len(texts)
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for page, text in enumerate(texts):
            norm = K1 * (1 - B + B * len(text) / mean_length)
            for word, count in Counter(text).items():
                weight = count * (K1 + 1) / (count + norm)
                self._postings.setdefault(word, []).append((page, weight))

    def scores(self, query: list[str]) -> np.ndarray:
        scores = np.zeros(self._num_pages)
        for word in query:
            pages = self._postings.get(word, [])
            rarity = math.log(1 + (self._num_pages - len(pages) + 0.5) / (len(pages) + 0.5))
            for page, weight in pages:
                scores[page] += rarity * weight
        return scores


if __name__ == "__main__":
    main()
