"""Quality against size in the report."""

import json
import re
from dataclasses import replace
from pathlib import Path

from colintern.report.page import write_report
from tests.report.helpers import RECORDED, write_json


def _row(dtype, size, value, is_best, difference):
    return {
        "embed": f"--dtype {dtype}",
        "dtype": dtype,
        "mean_tokens": 64.0,
        "gib_per_million_pages": size,
        "ndcg_at_5": value,
        "ci": [value - 0.02, value + 0.02],
        "difference": difference,
        "difference_ci": None if difference is None else [difference - 0.01, difference + 0.01],
        "is_on_frontier": is_best,
    }


def test_the_frontier_and_the_full_vectors_are_listed(run):
    """36 rows of which most are worse in all; nothing to compare the others with."""
    rows = [
        _row("float32", 32.0, 0.93, False, None),
        _row("float16", 16.0, 0.92, False, -0.01),
        _row("int8", 8.0, 0.94, True, 0.01),
        _row("binary", 1.0, 0.8, True, -0.13),
    ]
    document = {"dataset": "dev", "round": 1, "num_queries": 500, "num_pages": 40, "rows": rows}
    write_json(run / "ladder" / "dev.json", document)
    assert 'id="ladder"' not in Path(write_report(str(run), RECORDED)).read_text()
    html = Path(write_report(str(run), replace(RECORDED, ladders=["dev"]))).read_text()
    section = html.split('<section id="ladder">')[1].split("</section>")[0]
    assert section.count('<th scope="row"') == 3
    assert "--dtype float16" not in section
    assert re.search("8.00</td><td>0.940 <small>0.920.0.960</small>", section)
    assert "-0.130 <small>-0.140 to -0.120</small>" in section
    drawing = section.split("<svg")[1].split("</svg>")[0]
    assert all(f">{name}<" in drawing for name in ("float32", "float16", "int8", "binary"))
    assert "nan" not in drawing.lower()


def test_vectors_of_heads_at_chance_level_are_called_that(run):
    """The smallest vectors as good as the full ones: neither finds anything."""
    document = {"dataset": "dev", "round": 1, "num_queries": 500, "num_pages": 40}
    document["rows"] = [_row("float32", 32.0, 0.12, True, None)]
    write_json(run / "ladder" / "dev.json", document)
    path = run / "round-1/eval/dev.json"
    measured = json.loads(path.read_text())
    write_json(path, {**measured, "chance": {"ndcg_at_5": measured["ci"]["ndcg_at_5"][0]}})
    html = Path(write_report(str(run), replace(RECORDED, ladders=["dev"]))).read_text()
    section = html.split('<section id="ladder">')[1].split("</section>")[0]
    assert "exact search; at chance level (0.400)</span>" in section
