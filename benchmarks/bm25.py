"""The yardstick: BM25 over the texts that are printed on the demo's pages.

It is given the text of each page, while the retriever has to read pixels; it ignores where words
stand on the page, and their order. It is the BM25 of `colintern baseline`, by kind of query.
"""

import numpy as np

from colintern.data.demo.build import build_split
from colintern.data.demo.queries import PageIndex
from colintern.evaluation.metrics import per_query_metrics
from colintern.retrieval.baselines.bm25 import Bm25
from colintern.search import order

DEPTH = 100


def main() -> None:
    """Print nDCG@5 of BM25 for every split, by kind of query."""
    print(f"{'split':<8}{'pages':>7}{'queries':>9}{'nDCG@5':>9}{'Recall@1':>10}   by kind")
    for split in ("train", "dev", "test"):
        pages, queries = build_split("demo", split)
        index = PageIndex(pages)
        scorer = Bm25(enumerate(page.text for page in pages), len(pages))
        ranking, judgements, number = {}, {}, 0
        for key_BK in scorer.best((query.text for query in queries), DEPTH):
            for key_K in key_BK:
                found = order.to_ordinals(key_K[key_K != order.NO_PAGE]).tolist()
                name, query = f"q{number:05d}", queries[number]
                ranking[name] = [pages[ordinal].page_id for ordinal in found]
                judgements[name] = dict.fromkeys(index.bearing(query.asked), 1)
                number += 1
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
