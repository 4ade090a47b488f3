"""What each stage of a run took: seconds, pages a second, waiting, bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from colintern import storage
from colintern.features.progress import ENCODE_LOG
from colintern.features.store import RECORD
from colintern.records import Record, read_record
from colintern.records.run_folder import RunFolder

_ENCODE = "encode-"
_Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class StageCost:
    """A row of the table.

    Attributes:
        stage: its name.
        began: when, in UTC.
        seconds: that it took.
        num_bytes: that it wrote, and stand on storage; None where that is not known.
        together: other stages that ran at the same time, so that their seconds are the same ones.
        told: speeds and waiting, in words; empty where nothing is measured.
        machine: that it ran on, in words; empty where that is not noted.
    """

    stage: str
    began: datetime
    seconds: float
    num_bytes: int | None
    together: tuple[str, ...]
    told: str
    machine: str


def machines_of(costs: Sequence[StageCost]) -> dict[str, list[str]]:
    """Each machine, in words, with the names of the stages that ran on it.

    A run may be begun on one machine and go on on another. Stages of earlier versions, which noted
    none, stand under the empty words.
    """
    found: dict[str, list[str]] = {}
    for cost in costs:
        found.setdefault(cost.machine, []).append(cost.stage)
    return found


def stage_costs(
    folder: RunFolder, stages: Sequence[str], stores: Mapping[str, str], speeds: Mapping[str, str]
) -> list[StageCost]:
    """The costs of recorded stages, in the order in which they began.

    A stage that earlier versions did not write a record of has none.

    Args:
        folder: of the run.
        stages: their names.
        stores: the path of the feature store of each dataset, by its name.
        speeds: what is known of the speed of stages, by their names, in words.
    """
    found = {stage: record for stage in stages if (record := folder.record(stage))}
    spans = {stage: _span(record) for stage, record in found.items()}
    encoded = {
        stage: _Encoding.of(storage.join(stores[name], ENCODE_LOG), spans)
        for stage in found
        if stage.startswith(_ENCODE) and (name := stage.removeprefix(_ENCODE)) in stores
    }
    costs = []
    for stage, record in found.items():
        began, ended = spans[stage]
        store = stores.get(stage.removeprefix(_ENCODE)) if stage in encoded else None
        made = read_record(storage.join(store, RECORD)) if store else None
        costs.append(
            StageCost(
                stage=stage,
                began=began,
                seconds=(ended - began).total_seconds(),
                num_bytes=sum(output.bytes for output in (made or record).outputs),
                together=_together(stage, spans),
                told=encoded[stage].told(stage) if stage in encoded else speeds.get(stage, ""),
                machine=record.machine.told() if record.machine else "",
            )
        )
    return sorted(costs, key=lambda cost: (cost.began, cost.stage))


@dataclass(frozen=True)
class _Encoding:
    """What the log of a store tells of this run.

    Attributes:
        entries: of its lines those that were begun while a stage of the run encoded. Several stores
            are encoded in one work, which stands in the logs of all of them.
        stage: the first one that they were begun in.
    """

    entries: list[dict[str, Any]]
    stage: str | None

    @classmethod
    def of(cls, path: str, spans: Mapping[str, _Span]) -> _Encoding:
        """Read a log; `spans` are those of all stages."""
        lines = (storage.read_bytes_if_there(path) or b"").splitlines()
        entries, first = [], None
        for entry in map(json.loads, lines):
            begun = datetime.fromisoformat(entry["started_at"])
            during = [stage for stage, (start, end) in spans.items() if start <= begun <= end]
            during = [stage for stage in during if stage.startswith(_ENCODE)]
            if during and entry["items"]:
                entries.append(entry)
                first = first or during[0]
        return cls(entries, first)

    def told(self, stage: str) -> str:
        """The speed of the work; a stage whose store was filled in another's work says that."""
        if self.stage is None:
            return "features stood already"
        if self.stage != stage:
            return f"encoded together with {self.stage}: its seconds and speed count this too"
        items, seconds = (sum(entry[key] for entry in self.entries) for key in ("items", "seconds"))
        told = f"{items:,} pages and questions, {items / max(seconds, 1e-9):,.0f} a second"
        waits = [entry["waited"] for entry in self.entries if entry.get("waited") is not None]
        if waits:
            told += f"; the model waited {100 * max(waits):.1f} % of its time"
        return told


def _together(stage: str, spans: Mapping[str, _Span]) -> tuple[str, ...]:
    """Other stages that ran in a part of the same time."""
    began, ended = spans[stage]
    return tuple(
        other
        for other, (start, end) in spans.items()
        if other != stage and start < ended and began < end
    )


def _span(record: Record) -> _Span:
    return datetime.fromisoformat(record.started_at), datetime.fromisoformat(record.finished_at)
