"""A new run that goes on from another one: from its best heads, with the data as they are now.

The only thing that the new run takes over is `training.init_heads`. The stores are shared as always
where `features.root` is the same, so only new pages are encoded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from colintern import log, storage
from colintern.config.files import load_config, with_overrides
from colintern.config.schema import DEV, Config
from colintern.data.compute import pc
from colintern.errors import ConfigError, MissingStageError
from colintern.records.run_folder import RunFolder
from colintern.runs.contents import store_use
from colintern.runs.stages import Encode

if TYPE_CHECKING:
    from colintern.runs.opened import OpenedRun

_HEADS = re.compile(r"(?P<run>.+)/round-(?P<round>\d+)/heads/?")


def continued_config(
    run_path: str, config_path: str | None, overrides: Sequence[str] = ()
) -> Config:
    """The settings of a run that goes on from the best heads of another one.

    Which heads these are is chosen when the new run begins; it stays with them, whatever the other
    run does afterwards.

    Args:
        run_path: the run to go on from, finished or not: a path or URL.
        config_path: settings of the new run; None takes those of the other one, with the datasets
            that it has read.
        overrides: `a.b=c` arguments.

    Raises:
        ConfigError: the new run has no name of its own, or began otherwise.
        MissingStageError: the other run has no finished round yet.
        PathError: there is no such run.
    """
    source = RunFolder(storage.absolute(run_path))
    settings = source.read().config
    if config_path is None:
        document = settings.model_dump(mode="json", exclude_defaults=True)
        document.get("training", {}).pop("init_heads", None)
        config = with_overrides(document, overrides, run_path)
    else:
        config = load_config(config_path, overrides)
    if config.training.init_heads is not None:
        raise ConfigError(
            f"training.init_heads={config.training.init_heads}: remove it, as --continue-from "
            "gives the heads to start from"
        )
    if storage.real(config.run_path) == storage.real(source.path):
        raise ConfigError(
            f"run.name={config.run.name}: is the run to go on from; the new one needs a name of "
            "its own: run.name=NEW"
        )
    heads = _heads_of_start(config) or _best_heads(source)
    start = _HEADS.fullmatch(heads)
    if start is None or storage.real(start["run"]) != storage.real(source.path):
        raise ConfigError(
            f"run.name={config.run.name}: {config.run_path} is there already, and started from "
            f"{heads}; choose another run.name, or go on with that run as it was started"
        )
    training = config.training.model_copy(update={"init_heads": heads})
    return config.model_copy(update={"training": training})


def _heads_of_start(config: Config) -> str | None:
    """The heads that the new run has begun with; None if it has not begun."""
    folder = RunFolder(config.run_path)
    if not storage.exists(folder.run_json):
        return None
    return folder.read().config.training.init_heads or "untrained heads"


def _best_heads(source: RunFolder) -> str:
    """The heads of the best round that a run has decided on."""
    if not storage.exists(source.loop_json):
        raise MissingStageError(
            f"{source.path}: has no finished round to go on from; finish one first: colintern run "
            "--config ..., with the settings of that run"
        )
    return source.heads(int(storage.read_json(source.loop_json)["best_round"]))


def say_where_it_starts(config: Config) -> None:
    """Say which round of which run a run goes on from, and how good that was."""
    start = _HEADS.fullmatch(config.training.init_heads or "")
    assert start is not None
    run_path, number = start["run"], int(start["round"])
    rounds = storage.read_json(RunFolder(run_path).loop_json)["rounds"]
    dev = next((entry["dev"] for entry in rounds if entry["round"] == number), None)
    told = [] if dev is None else [f"dev nDCG@5 {dev:.3f}"]
    if rounds[-1]["decision"] != "stop":
        told.append("its loop has not ended")
    more = f" ({'; '.join(told)})" if told else ""
    log.say("run", "starts from round %d of %s%s", number, run_path, more)


def num_trained_on(run: OpenedRun) -> int:
    """How many dev questions the run that this one goes on from was trained on.

    A dev set that is taken out of the training set moves a little when that grows.
    """
    start, data = _HEADS.fullmatch(run.config.training.init_heads or ""), run.config.data
    if start is None or data.dev is not None:
        return 0
    source = RunFolder(start["run"])
    if not storage.exists(source.run_json):
        return 0
    before, encoded = source.read().config, source.record(Encode(data.train.name).name)
    is_split_too = before.data.dev is None and before.data.train == data.train
    if encoded is None or not is_split_too or not storage.exists(source.results(0, DEV)):
        return 0
    from colintern.evaluation.results import read_results
    from colintern.features.manifest import open_manifest
    from colintern.features.store import QUERIES, manifests_of
    from colintern.model.heads import read_info

    store = store_use(data.train.name, encoded).name
    if not encoded.inputs:  # an early version did not say
        store = read_info(source.heads(int(start["round"]))).stores[data.train.name]
    folder = storage.join(before.features_root, store.rpartition("/")[2], QUERIES)
    known = open_manifest(folder, manifests_of(encoded)[QUERIES].sha256).ids
    was_dev = read_results(source.results(0, DEV))["query_id"].unique()
    view, _ = run.catalog.evaluated(DEV)
    asked = view.judgements.query_ids
    was_asked = pc.is_in(asked, value_set=known.cast(asked.type))
    was_trained_on = pc.and_not(was_asked, pc.is_in(asked, value_set=was_dev.cast(asked.type)))
    return int(pc.sum(was_trained_on).as_py() or 0)
