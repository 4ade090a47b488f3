"""The yardstick: BM25 over the texts that are printed on the demo's pages.

It is given the text of each page, while the retriever has to read pixels; it ignores where words
stand on the page, and their order. Robertson and Zaragoza (2009), k1 = 1.2, b = 0.75, by bm25s.
"""

import bm25s
import numpy as np

from colintern.data.demo.build import build_split
from colintern.data.demo.queries import PageIndex, words
from colintern.evaluation.metrics import per_query_metrics

DEPTH = 100


def main() -> None:
    """Print nDCG@5 of BM25 for every split, by kind of query."""
    print(f"{'split':<8}{'pages':>7}{'queries':>9}{'nDCG@5':>9}{'Recall@1':>10}   by kind")
    for split in ("train", "dev", "test"):
        pages, queries = build_split("demo", split)
        index = PageIndex(pages)
        # float64, as ties are broken by page id and must not depend on rounding
        scorer = bm25s.BM25(k1=1.2, b=0.75, method="lucene", dtype="float64")
        scorer.index([words(page.text) for page in pages], show_progress=False)
        ids = np.array([page.page_id for page in pages])
        ranking, judgements = {}, {}
        for number, query in enumerate(queries):
            scores = scorer.get_scores(words(query.text))
            name = f"q{number:05d}"
            ranking[name] = ids[np.lexsort((ids, -scores))[:DEPTH]].tolist()
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


if __name__ == "__main__":
    main()
