"""The metrics that tables show, with their titles. A small module: `--help` waits for no import."""

METRIC_TITLES = {
    "ndcg_at_5": "nDCG@5",
    "mrr_at_10": "MRR@10",
    "recall_at_1": "Recall@1",
    "recall_at_5": "Recall@5",
    "recall_at_10": "Recall@10",
}
