"""A record is the commit marker, and shows what drifted."""

import pytest

from colintern import records, storage
from colintern.errors import DriftError
from colintern.records.machine import Machine


def test_a_record_is_read_back(tmp_path):
    """Outputs without their hashes, or a record that forgets what it was made from."""
    storage.write_bytes(str(tmp_path / "out.txt"), b"abc")
    path = str(tmp_path / "records" / "stage.json")
    assert records.read_record(path) is None
    inputs = {"training.learning_rate": 0.1, "cutoffs": (1, 5)}
    written = records.write_record(path, str(tmp_path), inputs, ["out.txt"], records.now())
    found = records.read_record(path)
    assert found is not None
    assert found.fingerprint == written.fingerprint
    assert found.outputs[0].bytes == 3
    assert found.outputs[0].sha256 == storage.sha256_of_bytes(b"abc")
    records.check_drift("stage", found, inputs)


def test_a_machine_is_noted_and_never_compared(tmp_path):
    """A run that drifts on another machine; a record of an earlier version that is not read."""
    path = str(tmp_path / "stage.json")
    for machine in (None, Machine("Linux x86_64", 2, 8, {"H100": 1}, 3)):
        written = records.record_outputs(path, {"a": 1}, [], records.now(), machine)
        found = records.read_record(path)
        assert found == written
        assert found.machine == machine
        records.check_drift("stage", found, {"a": 1})


def test_drift_names_every_differing_field(tmp_path):
    """A changed setting mixed silently into a finished run."""
    path = str(tmp_path / "stage.json")
    records.write_record(path, str(tmp_path), {"a": 1, "b": 2, "c": 3}, [], records.now())
    found = records.read_record(path)
    assert found is not None
    with pytest.raises(DriftError) as caught:
        records.check_drift("round-1-train", found, {"a": 1, "b": 5, "d": 7})
    message = str(caught.value)
    assert "round-1-train" in message
    for part in ("b: 2 -> 5", "c: 3 -> null", "d: null -> 7", "run.name"):
        assert part in message
    assert "a: " not in message
