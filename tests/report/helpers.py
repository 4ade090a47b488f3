"""Files of a run folder, as stages write them, for tests of the report."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from colintern.report.data import Recorded

# What is recorded in the run of the fixture `run`.
RECORDED = Recorded(evaluated={"dev": 2}, trained=[1], mined=[2])
EVIL = "<script>alert('x')</script>"


def content_of(html: str) -> dict[str, Any]:
    """What the script of a report shows."""
    (found,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', html)
    return json.loads(found)


def write_json(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def write_results(path: Path, found: dict[str, list[str]]) -> None:
    """Results as an evaluation keeps them: the pages of every query, best first."""
    rows = [
        {"query_id": query_id, "page_id": page_id, "score": 1 / rank, "rank": rank}
        for query_id, page_ids in found.items()
        for rank, page_id in enumerate(page_ids, 1)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
