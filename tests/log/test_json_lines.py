"""Records for programs."""

import json

import pytest

from colintern.log import JsonLines


def test_records_are_written_together_and_only_finite_ones(tmp_path):
    """`NaN` in a file that JSON readers refuse, or half a record for whoever reads meanwhile."""
    path = tmp_path / "log.jsonl"
    records = JsonLines(str(path))
    records.add({"step": 1, "loss": 0.5})
    assert not path.exists()
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.add({"step": 2, "loss": float("nan")})
    records.add({"step": 3, "loss": 0.25})
    records.save()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 3]
