"""What each stage of a run took: seconds, pages a second, waiting, bytes."""

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
    """

    stage: str
    began: datetime
    seconds: float
    num_bytes: int | None
    together: tuple[str, ...]
    told: str


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
    costs = []
    for stage, record in found.items():
        began, ended = spans[stage]
        store = stores.get(stage.removeprefix(_ENCODE)) if stage.startswith(_ENCODE) else None
        made = read_record(storage.join(store, RECORD)) if store else None
        costs.append(
            StageCost(
                stage=stage,
                began=began,
                seconds=(ended - began).total_seconds(),
                num_bytes=sum(output.bytes for output in (made or record).outputs),
                together=tuple(
                    other
                    for other, (start, end) in spans.items()
                    if other != stage and start < ended and began < end
                ),
                told=speeds.get(stage, "") or (_encoding(store, began, ended) if store else ""),
            )
        )
    return sorted(costs, key=lambda cost: (cost.began, cost.stage))


def _span(record: Record) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(record.started_at), datetime.fromisoformat(record.finished_at)


def _encoding(store: str, began: datetime, ended: datetime) -> str:
    """The speed of what was encoded during a stage; of a store that stood already there is none."""
    lines = (storage.read_bytes_if_there(storage.join(store, ENCODE_LOG)) or b"").splitlines()
    entries = [json.loads(line) for line in lines]
    own = [entry for entry in entries if _is_within(entry, began, ended) and entry["items"]]
    if not own:
        return "features stood already"
    items, seconds = (sum(entry[key] for entry in own) for key in ("items", "seconds"))
    told = f"{items:,} pages and questions, {items / max(seconds, 1e-9):,.0f} a second"
    waits = [entry["waited"] for entry in own if entry.get("waited") is not None]
    if waits:
        told += f"; the model waited {100 * max(waits):.1f} % of its time"
    return told


def _is_within(entry: Mapping[str, Any], began: datetime, ended: datetime) -> bool:
    return began <= datetime.fromisoformat(entry["started_at"]) <= ended
