"""What stages took: their own seconds, and a word where they share them."""

import json

from colintern.records.run_folder import RunFolder
from colintern.report.costs import stage_costs
from tests.report.helpers import write_json


def _record(path, began: str, ended: str, num_bytes: int) -> None:
    times = {"started_at": f"2026-01-01T{began}+00:00", "finished_at": f"2026-01-01T{ended}+00:00"}
    output = {"path": "pages/shard-0.safetensors", "bytes": num_bytes, "sha256": None}
    write_json(path, {"fingerprint": "f", **times, "outputs": [output], "inputs": {}})


def test_stages_that_ran_together_are_said_to_have(tmp_path):
    """Seconds of one encoding counted twice; a store of another run whose log is taken for ours."""
    stores = {name: str(tmp_path / "features" / name) for name in ("train", "dev", "old", "test")}
    spans = {
        "encode-train": ("10:00:00", "10:04:00"),
        "encode-dev": ("10:00:10", "10:04:05"),
        "encode-old": ("10:05:00", "10:05:01"),
        "encode-test": ("10:05:02", "10:05:02"),
        "round-1-train": ("10:06:00", "10:07:00"),
    }
    for name, (began, ended) in spans.items():
        _record(tmp_path / "records" / f"{name}.json", began, ended, 10)
    for name in stores:
        _record(tmp_path / "features" / name / "record.json", "10:00:00", "10:04:00", 1_000)
        began = "09" if name == "old" else "10"
        entry = {"started_at": f"2026-01-01T{began}:00:20+00:00", "seconds": 200.0, "items": 800}
        entry |= {"waited": 0.031}
        (tmp_path / "features" / name / "encode_log.jsonl").write_text(json.dumps(entry) + "\n")
    folder = RunFolder(str(tmp_path))
    speeds = {"round-1-train": "5 pairs a second"}
    costs = {cost.stage: cost for cost in stage_costs(folder, list(spans), stores, speeds)}
    assert list(costs) == [
        "encode-train",
        "encode-dev",
        "encode-old",
        "encode-test",
        "round-1-train",
    ]
    encoded = costs["encode-train"]
    assert encoded.told == "800 pages and questions, 4 a second; the model waited 3.1 % of its time"
    assert (encoded.seconds, encoded.num_bytes) == (240.0, 1_000)
    assert (encoded.together, costs["encode-dev"].together) == (("encode-dev",), ("encode-train",))
    assert (costs["encode-old"].told, costs["encode-old"].together) == (
        "features stood already",
        (),
    )
    assert (costs["round-1-train"].told, costs["round-1-train"].num_bytes) == (
        speeds["round-1-train"],
        10,
    )
