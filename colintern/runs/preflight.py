"""Finds mistakes of the user before any long work starts, and tells each in one line.

Only the checks of the backbone and of heads import torch.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cached_property
from typing import TYPE_CHECKING

from colintern import log, storage
from colintern.config.schema import Config, DatasetConfig, datasets
from colintern.data.added_judgements import (
    AddedJudgements,
    added_judgements,
    check_ids,
    check_names,
    read_pairs,
)
from colintern.data.canonical import CanonicalDataset
from colintern.data.resolve import FoundSource, datasets_root, find_source, with_datasets
from colintern.data.splits import UnseenPages, split_views
from colintern.data.text import normalised
from colintern.errors import CheckpointError, ConfigError, DatasetError
from colintern.runs.backbone_choice import say_built_in

if TYPE_CHECKING:
    from colintern.model.backbone import BackboneIdentity
    from colintern.model.basis import BasisFile

_SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for the driver of a submitted job only


def check(config: Config) -> bool:
    """Check the settings and, where no dataset has to be written first, what the datasets hold.

    Args:
        config: as it was read.

    Returns:
        Whether the datasets are checked; else `check_datasets` has to follow.

    Raises:
        UserError: a mistake, told without torch being imported.
    """
    check_roots(config)
    check_extras(config)
    check_names(config.data)
    sources = find_sources(config)
    for setting in unused_settings(config):
        log.warn_once("config", setting)
    say_built_in(config, sources)
    is_ready = all(source.write is None for source in sources)
    if is_ready:
        check_datasets(with_datasets(config))
    return is_ready


def find_sources(config: Config) -> list[FoundSource]:
    """Where each dataset of a run is read from.

    Raises:
        DatasetError: one is missing or has no known layout.
    """
    root = datasets_root(config)
    return [find_source(dataset, root) for dataset in datasets(config.data)]


def check_roots(config: Config) -> None:
    """Make sure that a submitted job does not write into the folder that Ray deletes with it.

    Raises:
        ConfigError: a root is relative, so that it would be in the job's working_dir.
    """
    if _SUBMITTED not in os.environ:
        return
    for key, root in (("run.root", config.run.root), ("features.root", config.features.root)):
        if root and storage.is_relative(root):
            raise ConfigError(
                f"{key}={root}: in a submitted job it must be absolute: Ray deletes the job's "
                f"working_dir; set {key} to storage that all nodes share (s3://..., /shared/...)"
            )


def check_extras(config: Config) -> None:
    """Make sure that the packages which only some settings need are installed.

    Raises:
        ConfigError: one is not.
    """
    tests_pool = bool(config.data.eval) and config.evaluation.search != "exact"
    may_pool = config.mining.search != "exact" or tests_pool
    needed = {
        "faiss": ("mining.search and evaluation.search", "cpu", may_pool),
        "deepspeed": ("training.strategy", "deepspeed", config.training.strategy == "deepspeed"),
    }
    for module, (key, extra, is_needed) in needed.items():
        if is_needed and importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"{key}: the package {module} is not installed; pip install 'colintern[{extra}]', "
                "or with GPUs 'colintern[gpu]'"
            )


def check_datasets(config: Config) -> None:
    """Make sure that every dataset means what it says and that there is a dev set.

    Says what makes a test set's figures too good.

    Args:
        config: with every dataset resolved to a canonical folder.

    Raises:
        ConfigError: dev is train.
        DatasetError: a dataset contradicts itself, or no dev set can be taken out of train.
    """
    opened = {
        dataset.name: _Opened(dataset, added_judgements(config.data, dataset.name))
        for dataset in datasets(config.data)
    }
    train = opened[config.data.train.name]
    if config.data.dev is not None:
        _check_dev_is_apart(opened[config.data.dev.name], train)
    for dataset in opened.values():
        dataset.folder.check()
        _check_added(dataset, config.data.judgements)
        _check_can_be_asked(dataset)
    if config.data.dev is None:
        # Equal images are not known yet; they can only tie more pages together.
        pages = UnseenPages(train.folder.documents())
        fraction, seed = config.data.dev_fraction, config.run.seed
        split_views(train.config.name, train.folder, pages, fraction, seed)
    for sentence in _shared_questions(config, opened):
        log.warn_once("data", sentence)


class _Opened:
    """A dataset, opened once for all checks."""

    def __init__(self, config: DatasetConfig, added: AddedJudgements | None) -> None:
        self.config = config
        self.folder = CanonicalDataset(config.path, added=added)

    @cached_property
    def questions(self) -> set[str]:
        """The judged questions that can be asked, as equal ones are equal."""
        judged = self.folder.judgements()
        return {normalised(q.text) for q in self.folder.queries() if q.query_id in judged}


def _check_added(dataset: _Opened, judgements: str | None) -> None:
    """Make sure that what people have judged is there.

    Raises:
        DatasetError: a line is of a question or page that the dataset has not.
    """
    folder = dataset.folder
    if judgements is not None and folder.added is not None:
        query_ids = {*folder.asked.ids.to_pylist(), *folder.asked.bad}
        page_ids = set(folder.page_ids().to_pylist())
        check_ids(judgements, dataset.config.name, query_ids, page_ids)
        folder.judgements()  # something is left


def _check_can_be_asked(dataset: _Opened) -> None:
    """Make sure that a judged query has a text that can be asked.

    Raises:
        DatasetError: none has.
    """
    if not dataset.questions:
        judged, reasons = dataset.folder.judgements(), dataset.folder.bad_queries()
        first = min(judged)
        raise DatasetError(
            f"dataset {dataset.config.name}: none of its {len(judged)} judged queries can be used "
            f"({first}: {reasons[first]}); correct the texts in {dataset.config.path}/queries, or "
            "take another dataset"
        )


def _check_dev_is_apart(dev: _Opened, train: _Opened) -> None:
    """Make sure that something is left to train on.

    Raises:
        ConfigError: dev is train, in the same folder or in a copy of it.
    """
    if _is_same(dev.folder, train.folder):
        raise ConfigError(
            f"data.dev: {dev.config.path} is also data.train, so nothing would be left to "
            "train on; set data.dev=null to take data.dev_fraction of it"
        )


def _is_same(one: CanonicalDataset, other: CanonicalDataset) -> bool:
    """Whether two datasets are one folder, or hold the same."""
    if storage.real(one.path) == storage.real(other.path):
        return True
    # Pages are read for this only where everything else is equal.
    return one.questions() == other.questions() and one.content_hash() == other.content_hash()


def _shared_questions(config: Config, opened: dict[str, _Opened]) -> list[str]:
    """One sentence for every test set whose questions training or the stop rule see."""
    told = []
    seen = [("train", "is trained on", opened[config.data.train.name].questions)]
    if config.data.dev is not None:
        seen.append(("dev", "decides when to stop", opened[config.data.dev.name].questions))
    for number, test in enumerate(config.data.eval):
        asked = opened[test.name].questions
        told += [
            f"data.eval.{number} ({test.name}): {len(asked & questions):,} of its {len(asked):,} "
            f"questions are also in data.{role}, which {use}; so its results are too good: remove "
            "these questions from one of the two datasets"
            for role, use, questions in seen
            if asked & questions
        ]
    return told


def check_init_heads(config: Config, backbone: BackboneIdentity) -> None:
    """Make sure that `training.init_heads`, if set, fits the configuration and the backbone.

    Raises:
        CheckpointError: it cannot be loaded, has another shape than the configuration asks for, or
            was trained on features of another backbone, as far as its store is in `features.root`.
    """
    folder = config.training.init_heads
    if folder is None:
        return
    from colintern.features.store import RECORD
    from colintern.model.heads import load_heads
    from colintern.records import read_record
    from colintern.runs.stores import BACKBONE_HASH

    _, info = load_heads(folder)
    wanted = {
        "heads.kind": (config.heads.kind, info.kind),
        "heads.dim": (config.heads.dim, info.dim),
        "heads.shared": (config.heads.shared, info.shared),
        "heads.layer_mix": (config.heads.layer_mix, info.layer_mix),
        "backbone.layer": (config.backbone.layer, info.backbone.layer),
        "backbone.attention": (config.backbone.attention, info.backbone.attention),
        "the width of features": (
            config.features.pca_dim or backbone.width,
            info.features_width,
        ),
    }
    for key, (asked, found) in wanted.items():
        if asked != found:
            raise CheckpointError(
                f"training.init_heads={folder}: made for {key}={found}, not {asked}; "
                "change the setting, or take other heads"
            )
    names = (store.rpartition("/")[2] for store in info.stores.values())  # roots may be moved
    near = [storage.join(config.features_root, name) for name in names]
    records_there = filter(None, (read_record(storage.join(store, RECORD)) for store in near))
    known = {record.inputs.get(BACKBONE_HASH) for record in records_there} - {None}
    if known and backbone.checkpoint_sha256 not in known:
        raise CheckpointError(
            f"training.init_heads={folder}: trained on features of {info.backbone.path}, which is "
            f"another backbone than backbone.path={config.backbone.path}; set it back, or take "
            "other heads"
        )


def check_init_basis(config: Config, basis: BasisFile | None) -> None:
    """Make sure that `training.init_heads`, if set, takes features in the basis of the run.

    Raises:
        CheckpointError: it takes those in another basis, or in none.
    """
    folder = config.training.init_heads
    if folder is None:
        return
    from colintern.model.heads import read_info

    found, wanted = read_info(folder).pca, basis and basis.sha256
    if found != wanted:
        raise CheckpointError(
            f"training.init_heads={folder}: made for features in the basis {found}, not {wanted}; "
            "set features.pca_dim, features.root and data.train as in the run that trained them, "
            "or take other heads"
        )


def unused_settings(config: Config) -> list[str]:
    """One sentence for every setting that was given and changes nothing beside the others."""
    unused = []
    if config.data.dev is not None and "dev_fraction" in config.data.model_fields_set:
        unused.append("data.dev_fraction has no effect: data.dev is a dataset of its own")
    if config.data.judgements is not None and not read_pairs(config.data.judgements):
        unused.append(f"data.judgements has no effect: {config.data.judgements} has no line")
    named = [("train", config.data.train), ("dev", config.data.dev)]
    named += [(f"eval.{number}", dataset) for number, dataset in enumerate(config.data.eval)]
    for name, dataset in named:
        unused += [f"data.{name}.{words}" for words in (_unused_keys(dataset) if dataset else ())]
    if config.evaluation.search != "exact" and not config.data.eval:
        unused.append("evaluation.search has no effect: dev is searched exactly, and data.eval=[]")
    if config.backbone.attention != "causal" and config.backbone.layer in ("projector", 0):
        unused.append(
            f"backbone.attention has no effect: backbone.layer={config.backbone.layer} is before "
            "the attention of the LLM"
        )
    if config.mining.search == "exact":
        approximate = {"first_stage", "index", "candidates", "min_recall"}
        unused += [
            f"mining.{key} has no effect: mining.search is exact"
            for key in sorted(approximate & config.mining.model_fields_set)
        ]
    return unused


def _unused_keys(dataset: DatasetConfig) -> list[str]:
    """The keys of one dataset that are set and change nothing; `split` is told by its layout."""
    keys, reason = (), ""
    if dataset.is_demo:
        keys = ("format", "revision", "language", "config", "relevant_from")
        reason = f"{dataset.path} is built in"
    elif not _may_be_on_hub(dataset.path):
        keys, reason = ("revision",), f"{dataset.path} is not on the Hub"
    defaults = DatasetConfig.model_fields
    return [
        f"{key} has no effect: {reason}"
        for key in keys
        if getattr(dataset, key) != defaults[key].default
    ]


def _may_be_on_hub(path: str) -> bool:
    return path.startswith("hf://") or (storage.is_local(path) and not storage.exists(path))
