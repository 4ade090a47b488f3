"""The titles of what tables show. A small module: `--help` waits for no import."""

import re
from collections.abc import Mapping
from typing import Any

_HEADS_OF_A_RUN = re.compile(r"([^/]+)/round-(\d+)/heads/?")

METRIC_TITLES = {
    "ndcg_at_5": "nDCG@5",
    "mrr_at_10": "MRR@10",
    "recall_at_1": "Recall@1",
    "recall_at_5": "Recall@5",
    "recall_at_10": "Recall@10",
}


def where_from(init_heads: str | None) -> str | None:
    """Where the heads before round 1 come from, in a few words; None for untrained ones.

    Args:
        init_heads: the setting `training.init_heads`.
    """
    if init_heads is None:
        return None
    found = _HEADS_OF_A_RUN.search(init_heads)
    return f"round {found[2]} of {found[1]}" if found else "given heads"


def title_of_start(init_heads: str | None) -> str:
    """What tables call the heads before round 1."""
    start = where_from(init_heads)
    return "untrained" if start is None else f"start: {start}"


def title_of_baseline(document: Mapping[str, Any]) -> str:
    """What tables call a baseline: its name, and the round whose heads it is made of, if any.

    Args:
        document: its metrics on a dataset.
    """
    about = document["baseline"]
    return f"{about['name']} of round {about['round']}" if "round" in about else about["name"]
