"""What is finished: one record a stage.

A record is written last, when all outputs of its stage are on storage: it is the commit marker.
It keeps the inputs of the stage. So a change that would make the stage different is shown field by
field, and is not mixed into the run. (After the step records of the marin project's `execution/`.)
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from colintern import storage
from colintern.errors import DriftError
from colintern.records.machine import Machine

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Output:
    """A file that a stage wrote.

    Attributes:
        path: relative to the folder that the record describes.
        bytes: its size.
        sha256: of its bytes; None for shards of features, which contain their own checksums.
    """

    path: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Record:
    """The commit marker of a finished stage.

    Attributes:
        fingerprint: of `inputs`.
        started_at: when the stage began (`now()`).
        finished_at: when it ended.
        outputs: the files that it wrote.
        inputs: everything that they depend on.
        machine: that it ran on, which is not compared; None where that is not noted.
    """

    fingerprint: str
    started_at: str
    finished_at: str
    outputs: tuple[Output, ...]
    inputs: Inputs
    machine: Machine | None = None


def fingerprint(inputs: Inputs) -> str:
    """SHA-256 over the canonical JSON of `inputs`, as 64 hexadecimal digits."""
    return hashlib.sha256(_canonical_json(inputs).encode()).hexdigest()


def now() -> str:
    """The time, UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def write_record(
    path: str, folder: str, inputs: Inputs, output_paths: Sequence[str], started_at: str
) -> Record:
    """Record at `path` that a stage of `folder` is finished.

    Args:
        path: where the record is written.
        folder: the folder that `output_paths` are relative to.
        inputs: everything that the outputs depend on, JSON values by name.
        output_paths: the files that the stage wrote; they exist.
        started_at: when the stage began (`now()`).
    """
    outputs = [describe(folder, output_path) for output_path in output_paths]
    return record_outputs(path, inputs, outputs, started_at)


def record_outputs(
    path: str,
    inputs: Inputs,
    outputs: Sequence[Output],
    started_at: str,
    machine: Machine | None = None,
) -> Record:
    """As `write_record`, of outputs whose sizes and hashes are known.

    Args:
        path: where the record is written.
        inputs: as of `write_record`.
        outputs: the files that the stage wrote.
        started_at: when the stage began (`now()`).
        machine: that it ran on.
    """
    record = Record(fingerprint(inputs), started_at, now(), tuple(outputs), inputs, machine)
    document = {
        "fingerprint": record.fingerprint,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "outputs": [vars(output) for output in outputs],
        "inputs": dict(inputs),
        **({"machine": asdict(machine)} if machine else {}),
    }
    storage.write_json(path, document)
    return record


def read_record(path: str) -> Record | None:
    """The record at `path`, or None when the stage is not finished."""
    return parsed_record(storage.read_json(path)) if storage.exists(path) else None


def parsed_record(document: Any) -> Record | None:
    """The record in a JSON document; None of no document."""
    if document is None:
        return None
    outputs = tuple(Output(**output) for output in document["outputs"])
    machine = document.get("machine")  # records of earlier versions have none
    return Record(
        document["fingerprint"],
        document["started_at"],
        document["finished_at"],
        outputs,
        document.get("inputs", {}),
        Machine(**machine) if machine else None,
    )


def check_drift(stage: str, record: Record, inputs: Inputs) -> None:
    """Make sure that a recorded stage was made from these `inputs`.

    Raises:
        DriftError: it was not; the message shows every differing field.
    """
    if record.fingerprint != fingerprint(inputs):
        _raise_drift(stage, record.inputs, inputs)


def check_settings(stage: str, record: Record, settings: Inputs) -> None:
    """Make sure that a recorded stage was made with these `settings`, whatever else went into it.

    A setting among the inputs is called by its section and its key, with a dot between them.

    Raises:
        DriftError: it was not; the message shows every differing field.
    """
    recorded = {name: value for name, value in record.inputs.items() if "." in name}
    # Without inputs there is nothing to compare but the fingerprint, which is of all of them.
    if record.inputs and fingerprint(recorded) != fingerprint(settings):
        _raise_drift(stage, recorded, settings)


def _raise_drift(stage: str, recorded: Inputs, inputs: Inputs) -> NoReturn:
    changes = [
        f"{name}: {_brief(before)} -> {_brief(after)}"
        for name in sorted({*recorded, *inputs})
        if (before := _canonical_json(recorded.get(name)))
        != (after := _canonical_json(inputs.get(name)))
    ]
    raise DriftError(
        f"stage {stage} is recorded with other settings or inputs ({'; '.join(changes)}); "
        "set them back, or choose another run.name"
    )


def describe(folder: str, path: str) -> Output:
    """A file of `folder` as an output of its stage."""
    full = storage.join(folder, path)
    return Output(path, storage.size_of(full), storage.sha256_of_file(full))


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _brief(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
