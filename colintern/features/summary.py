"""What an encoding will take, in two lines, from the plans of its stores."""

from collections.abc import Sequence

from colintern.features.plan import StorePlan
from colintern.features.store import PAGES
from colintern.log import size_text


def plan_summary(plans: Sequence[StorePlan]) -> list[str]:
    """Pages, tokens a page, bytes, operations and shards.

    Args:
        plans: of all stores that are not finished, one at least; they share a codec.
    """
    codec = plans[0].target.codec
    pages = [plan.totals[PAGES] for plan in plans]
    num_pages = sum(total.items for total in pages)
    tokens = sum(total.num_bytes for total in pages) / codec.bytes_per_token
    names = ", ".join(plan.target.dataset.name for plan in plans)
    everything = [total for plan in plans for total in plan.totals.values()]
    size = sum(total.num_bytes for total in everything)
    work = sum(total.megaflops for total in everything)
    shards = [(len(plan.work), len(plan.missing())) for plan in plans]
    return [
        f"{names}: {num_pages:,} pages, {tokens / max(1, num_pages):,.0f} tokens a page; features "
        f"of {size_text(size)} in {codec.dtype}",
        f"encoding takes {work / 1e6:,.3g} TFLOP, in {sum(total for total, _ in shards):,} shards, "
        f"{sum(missing for _, missing in shards):,} to do; `colintern plan` tells hours and memory",
    ]
