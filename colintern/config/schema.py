"""The settings of a run: one frozen tree of sections, which `config.files` reads from YAML.

`configs/reference.yaml` shows every key with its default and meaning. Unknown keys are refused.
Names of keys end with their unit (`_seconds`, `_bytes`, `_tokens`). Secrets are never settings:
they come from the environment.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from colintern import storage
from colintern.config.benchmarks import benchmarks, expanded

_NAME = re.compile(r"[A-Za-z0-9._-]+")
READERS = READER, READER_PRINT = "reader", "reader-print"  # the built-in backbones that can read
RANDOM = "random"
BUILT_IN = (*READERS, RANDOM)
DEV = "dev"  # the name of the dev set, whichever dataset it is
DEMO_VARIANTS = ("demo", "demo-small", "demo-long")

Split = Literal["train", "dev", "test"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
FromTo = Annotated[tuple[Positive, Positive], Field(strict=False)]  # a list, in YAML
# Marks a key that the first recorded runs did not have. Its default must be what those runs did:
# `near_duplicate: Annotated[float | None, ADDED_LATER] = None`.
ADDED_LATER = "added later"
# One hidden state of the backbone, or several beside each other.
Layers = int | Literal["projector"] | Annotated[tuple[int, ...], Field(strict=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # a signed 64-bit integer, as generators take them


class Section(BaseModel):
    """A frozen part of the settings; unknown keys, wrong types, inf and nan are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def as_inputs(self) -> dict[str, Any]:
        """The keys and values that are recorded with a stage, to see later whether they changed.

        A key that is `ADDED_LATER` is recorded only if it is not at its default. So a stage that
        was recorded before the key existed stays finished.
        """
        return {
            name: value
            for name, value in self.model_dump().items()
            if ADDED_LATER not in (field := type(self).model_fields[name]).metadata
            or value != field.default
        }


class RunConfig(Section):
    """Where a run is stored, and the seed of everything random."""

    name: str = "run"
    root: str = "runs"
    seed: Seed = 0

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return _checked_name(name)


class DatasetConfig(Section):
    """One dataset: a folder of parquet files (path, URL or Hub id), or a built-in one."""

    path: str
    name: str = ""
    format: Literal["auto", "canonical", "beir", "rows"] = "auto"
    split: Split | None = None
    revision: str | None = None
    language: str | None = None
    config: Annotated[
        str | Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None, ADDED_LATER
    ] = None
    relevant_from: Annotated[float | None, ADDED_LATER] = None
    task: Annotated[str | None, ADDED_LATER] = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            return value
        entry = {"path": value} if isinstance(value, str) else dict(value)
        if not entry.get("name") and isinstance(entry.get("path"), str):
            last = entry["path"].split("@")[0].rstrip("/").rsplit("/", 1)[-1]
            last = f"{last}-{entry['config']}" if isinstance(entry.get("config"), str) else last
            entry["name"] = re.sub(r"[^A-Za-z0-9._-]+", "-", last)
        return entry

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return _checked_name(name)

    @field_validator("path")
    @classmethod
    def _is_one_dataset(cls, path: str) -> str:
        if path.partition(":")[0] in benchmarks():
            raise ValueError(f"{path} stands for several test sets; name it in data.eval")
        return path

    @property
    def is_demo(self) -> bool:
        """Whether this is a built-in demo dataset, not a folder."""
        return self.path in DEMO_VARIANTS


class DataConfig(Section):
    """The training set, the dev set and the test sets."""

    train: DatasetConfig
    dev: DatasetConfig | None = None
    eval: Annotated[tuple[DatasetConfig, ...], Field(strict=False)] = ()
    dev_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    max_bad_fraction: Fraction = 0.01
    judgements: Annotated[str | None, ADDED_LATER] = None

    @field_validator("eval", mode="before")
    @classmethod
    def _expand_benchmarks(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"takes a list of datasets: data.eval=[{value}]")
        if not isinstance(value, list | tuple):
            return value
        return [dataset for entry in value for dataset in expanded(entry)]

    @field_validator("train")
    @classmethod
    def _train_split(cls, train: DatasetConfig) -> DatasetConfig:
        return _with_split(train, "train")

    @field_validator("dev")
    @classmethod
    def _dev_split(cls, dev: DatasetConfig | None) -> DatasetConfig | None:
        return dev and _with_split(dev, "dev").model_copy(update={"name": DEV})

    @field_validator("eval")
    @classmethod
    def _test_splits(cls, tests: tuple[DatasetConfig, ...]) -> tuple[DatasetConfig, ...]:
        return tuple(_with_split(dataset, "test") for dataset in tests)

    @model_validator(mode="after")
    def _names_are_unique(self) -> "DataConfig":
        names = [self.train.name, *evaluated_names(self)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two datasets are called '{twice[0]}'; rename one: {{name: ..., path: ...}}"
            )
        return self


class BackboneConfig(Section):
    """The frozen InternVL, and how pages and queries are given to it."""

    path: str = READER
    revision: str | None = None
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    layer: Layers = -1
    page_prompt: str = "Describe the page."
    query_prefix: str = "Query: "
    query_augmentation_tokens: Count = 0
    max_tiles: Positive = 12
    attention: Annotated[Literal["causal", "bidirectional"], ADDED_LATER] = "causal"
    pad_to_grid: Annotated[bool, ADDED_LATER] = False

    @field_validator("layer")
    @classmethod
    def _are_different(cls, layer: Layers) -> Layers:
        if isinstance(layer, tuple):
            if len(layer) < 2:
                raise ValueError(f"a list needs two or more layers, found {list(layer)}")
            if len(set(layer)) < len(layer):
                raise ValueError(f"a list must not name a layer twice, found {list(layer)}")
        return layer

    @property
    def num_layers(self) -> int:
        """L, the hidden states that stand beside each other in the features of a token."""
        return len(self.layer) if isinstance(self.layer, tuple) else 1


class FeaturesConfig(Section):
    """How features are stored."""

    root: str | None = None
    dtype: Literal["bfloat16", "float16", "int8"] = "bfloat16"
    pca_dim: Positive | None = None
    merge: Annotated[Literal[1, 2], ADDED_LATER] = 1
    max_tokens_per_page: Annotated[Positive | None, ADDED_LATER] = None
    shard_bytes: Positive = 256 * 2**20
    batch_tokens: Positive = 16_384
    # About 7,000 A4 pages of InternVL3-1B, and less than nearly any machine that trains has free.
    cache_bytes: Annotated[Count, ADDED_LATER] = 20 * 2**30


class HeadsConfig(Section):
    """The two projections that are trained."""

    kind: Literal["linear", "mlp"] = "linear"
    dim: Positive = 128
    shared: bool = False
    layer_mix: bool = False


class TrainingConfig(Section):
    """How the heads are trained in one round."""

    epochs: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)] = (1,)
    global_batch: Annotated[int, Field(ge=2)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_fraction: Fraction = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 10.0
    temperature: Annotated[float, Field(gt=0)] = 0.02
    loss: Literal["infonce", "pairwise"] = "infonce"
    negatives_per_query: Count = 4
    batch_by: Literal["random"] = "random"
    filter_margin: None = None
    strategy: Literal["ddp", "deepspeed"] = "ddp"
    num_workers: Count = 1
    checkpoint_every_steps: None = None
    init_heads: str | None = None

    @model_validator(mode="after")
    def _workers_fit(self) -> "TrainingConfig":
        # A worker may have no pair in a small last batch; never to have one is a mistake.
        if self.num_workers > self.global_batch:
            raise ValueError(
                f"num_workers ({self.num_workers}) must not be above global_batch "
                f"({self.global_batch}): some workers would idle in every step"
            )
        if self.strategy == "deepspeed" and self.num_workers == 0:
            raise ValueError("strategy: deepspeed needs num_workers of 1 or more")
        return self

    @field_validator("epochs", mode="before")
    @classmethod
    def _one_or_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    def epochs_of_round(self, round_number: int) -> int:
        """Passes over the training pairs in a round (from 1); later rounds use the last entry."""
        return self.epochs[min(round_number, len(self.epochs)) - 1]


class MiningConfig(Section):
    """How hard negatives are searched, and which are kept."""

    search: Literal["auto", "exact", "faiss"] = "auto"
    first_stage: Literal["pooled"] = "pooled"
    index: Literal["flat"] = "flat"
    candidates: Positive = 200
    min_recall: Fraction = 0.95
    num_negatives: Positive = 8
    range_min: Count = 0
    range_max: Positive = 50
    relative_margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    absolute_margin: Annotated[float, Field(ge=0)] | None = None
    max_score: float | None = None
    min_score: float | None = None
    sampling: Literal["top", "random"] = "top"
    near_duplicate: Annotated[Annotated[float, Field(gt=0, le=1)] | None, ADDED_LATER] = None

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> "MiningConfig":
        if self.range_min >= self.range_max:
            raise ValueError(
                f"range_min ({self.range_min}) must be below range_max ({self.range_max})"
            )
        return self


class LoopConfig(Section):
    """When the loop of training, evaluation and mining ends."""

    max_rounds: Positive = 2
    min_gain: float = 0.0
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    patience: Positive = 1


class EvaluationConfig(Section):
    """How each round is measured."""

    cutoffs: Annotated[tuple[Positive, ...], Field(strict=False)] = (1, 5, 10)
    search: Literal["exact", "pooled_rerank"] = "exact"


class ClusterConfig(Section):
    """The machines that the stages ask Ray for."""

    encode_workers: Positive | FromTo = 1
    mining_workers: Positive = 1
    use_gpu: bool = False
    cpus_per_worker: Positive = 1

    @field_validator("encode_workers")
    @classmethod
    def _least_first(cls, value: int | tuple[int, int]) -> int | tuple[int, int]:
        if isinstance(value, tuple) and value[0] > value[1]:
            raise ValueError(f"encode_workers ({list(value)}) must be [least, most]")
        return value

    @property
    def least_encode_workers(self) -> int:
        """Model workers that the cluster must be able to hold."""
        return (
            self.encode_workers if isinstance(self.encode_workers, int) else self.encode_workers[0]
        )

    @property
    def most_encode_workers(self) -> int:
        """Model workers that are asked for."""
        return (
            self.encode_workers if isinstance(self.encode_workers, int) else self.encode_workers[1]
        )


class Config(Section):
    """All settings of a run."""

    data: DataConfig
    run: RunConfig = RunConfig()
    backbone: BackboneConfig = BackboneConfig()
    features: FeaturesConfig = FeaturesConfig()
    heads: HeadsConfig = HeadsConfig()
    training: TrainingConfig = TrainingConfig()
    mining: MiningConfig = MiningConfig()
    loop: LoopConfig = LoopConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    cluster: ClusterConfig = ClusterConfig()

    @model_validator(mode="after")
    def _layers_can_be_mixed(self) -> "Config":
        if self.heads.layer_mix and self.backbone.num_layers == 1:
            raise ValueError(
                f"heads.layer_mix: needs several layers, but backbone.layer={self.backbone.layer}; "
                "set a list, such as backbone.layer=[-1, 12], or heads.layer_mix=false"
            )
        if self.heads.layer_mix and self.features.pca_dim is not None:
            raise ValueError(
                "heads.layer_mix: cannot tell the layers apart after features.pca_dim="
                f"{self.features.pca_dim}, which reduces them together; set one of the two back"
            )
        return self

    @property
    def run_path(self) -> str:
        """The run folder, absolute."""
        return storage.join(storage.absolute(self.run.root), self.run.name)

    @property
    def features_root(self) -> str:
        """The folder of feature stores, absolute: `features.root`, or `features` in `run.root`."""
        root = self.features.root or storage.join(self.run.root, "features")
        return storage.absolute(root)

    def located(self) -> "Config":
        """A copy with absolute paths, which mean the same in every working directory."""
        backbone, heads = self.backbone.path, self.training.init_heads
        folder = Path(backbone).expanduser()
        is_folder = backbone not in BUILT_IN and folder.is_dir()
        judgements = self.data.judgements
        here = {
            "data": {"judgements": judgements and storage.absolute(judgements)},
            "run": {"root": storage.absolute(self.run.root)},
            "features": {"root": self.features.root and storage.absolute(self.features.root)},
            "backbone": {"path": str(folder.absolute()) if is_folder else backbone},
            "training": {"init_heads": heads and storage.absolute(heads)},
        }
        sections = {
            name: getattr(self, name).model_copy(update=keys) for name, keys in here.items()
        }
        return self.model_copy(update=sections)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(f"'{name}' is not a valid name; use only letters, digits, '.', '_', '-'")
    return name


def _with_split(dataset: DatasetConfig, split: Split) -> DatasetConfig:
    """A demo dataset with its split and name filled in from its role; other datasets unchanged."""
    if not dataset.is_demo:
        return dataset
    chosen = dataset.split or split
    name = f"{dataset.path}-{chosen}" if dataset.name == dataset.path else dataset.name
    return dataset.model_copy(update={"split": chosen, "name": name})


def datasets(data: DataConfig) -> list[DatasetConfig]:
    """The datasets that are encoded: train, dev if it is a dataset of its own, then the tests."""
    return [data.train, *([data.dev] if data.dev else []), *data.eval]


def evaluated_names(data: DataConfig) -> list[str]:
    """The names of the datasets that each round is measured on: dev, then the test sets."""
    return [DEV, *(dataset.name for dataset in data.eval)]


def dataset_of(data: DataConfig, name: str) -> DatasetConfig:
    """The dataset that a measured one is read from; dev may be a part of train.

    Raises:
        ValueError: the run has no dataset of this name.
    """
    for dataset in datasets(data):
        if dataset.name == name:
            return dataset
    if name == DEV:
        return data.train
    raise ValueError(f"{name}: is no dataset of this run")
