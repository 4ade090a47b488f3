"""The configuration: YAML files and `a.b=c` arguments, validated into one frozen tree.

`configs/reference.yaml` shows every key with its default and meaning. Unknown keys are refused.
Units stand in the names (`_seconds`, `_bytes`, `_tokens`). Secrets come from the environment only.
"""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from colintern import storage
from colintern.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_UNION_BRANCHES = ("int", "literal['projector']")  # pydantic adds them to a key's path
_YAML_WORDS = {
    r"a valid tuple": "a list",
    r"a valid dictionary or instance of \w+": "a section with keys",
    r"input should be (None|False)$": r"only \1 is supported so far",
}
READER, RANDOM = "reader", "random"  # the built-in backbones
DEMO_VARIANTS = ("demo", "demo-small", "demo-long")

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # a signed 64-bit integer, as generators take them


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys, wrong types, inf and nan are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RunConfig(Section):
    """Where a run lives and what makes it random."""

    name: str = "run"
    root: str = "runs"
    seed: Seed = 0

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return _checked_name(name)


class DatasetConfig(Section):
    """One dataset: a folder of parquet files (path, URL or Hub id), or a built-in one by name."""

    path: str
    name: str = ""
    format: Literal["auto", "canonical", "beir", "rows"] = "auto"
    split: Literal["train", "dev", "test"] | None = None
    revision: str | None = None
    language: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            return value
        entry = {"path": value} if isinstance(value, str) else dict(value)
        if not entry.get("name") and isinstance(entry.get("path"), str):
            last = entry["path"].split("@")[0].rstrip("/").rsplit("/", 1)[-1]
            entry["name"] = re.sub(r"[^A-Za-z0-9._-]+", "-", last)
        return entry

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return _checked_name(name)

    @property
    def is_demo(self) -> bool:
        """Whether this names a built-in demo corpus rather than a folder."""
        return self.path in DEMO_VARIANTS


class DataConfig(Section):
    """The training set, the development split, and the test sets."""

    train: DatasetConfig
    dev: DatasetConfig | None = None
    eval: Annotated[tuple[DatasetConfig, ...], Field(strict=False)] = ()
    dev_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    max_bad_fraction: Fraction = 0.01

    @model_validator(mode="after")
    def _named_and_unique(self) -> "DataConfig":
        train = _with_split(self.train, "train")
        dev = None if self.dev is None else _with_split(self.dev, "dev")
        dev = dev and dev.model_copy(update={"name": "dev"})
        tests = tuple(_with_split(dataset, "test") for dataset in self.eval)
        names = [train.name, "dev", *(dataset.name for dataset in tests)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two datasets are called '{twice[0]}'; name one {{name: ..., path: ...}}"
            )
        # Pydantic's frozen models are completed here, before anyone has seen this one.
        for field, value in (("train", train), ("dev", dev), ("eval", tests)):
            object.__setattr__(self, field, value)
        return self


class BackboneConfig(Section):
    """The frozen InternVL and how pages and queries are put before it."""

    path: str = READER
    revision: str | None = None
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    layer: int | Literal["projector"] = -1
    page_prompt: str = "Describe the page."
    query_prefix: str = "Query: "
    query_augmentation_tokens: Count = 0
    max_tiles: Positive = 12


class FeaturesConfig(Section):
    """The store of frozen features."""

    root: str | None = None
    dtype: Literal["bfloat16", "float16"] = "bfloat16"
    pca_dim: None = None
    shard_bytes: Positive = 256 * 2**20
    batch_tokens: Positive = 16_384


class HeadsConfig(Section):
    """The two projections that learn."""

    kind: Literal["linear", "mlp"] = "linear"
    dim: Positive = 128
    shared: bool = False
    layer_mix: Literal[False] = False


class TrainingConfig(Section):
    """One round of head training."""

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
    def _a_pair_for_every_worker(self) -> "TrainingConfig":
        if self.num_workers > self.global_batch:
            raise ValueError(
                f"num_workers ({self.num_workers}) must not be above global_batch "
                f"({self.global_batch}): every worker needs a pair"
            )
        if self.strategy == "deepspeed" and self.num_workers == 0:
            raise ValueError("strategy: deepspeed needs num_workers of 1 or more")
        return self

    @field_validator("epochs", mode="before")
    @classmethod
    def _one_or_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int) and not isinstance(value, bool) else value

    def epochs_of_round(self, round_number: int) -> int:
        """Passes over the training pairs in `round_number` (from 1); the last entry repeats."""
        return self.epochs[min(round_number, len(self.epochs)) - 1]


class MiningConfig(Section):
    """How hard negatives are found and which are kept."""

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

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> "MiningConfig":
        if self.range_min >= self.range_max:
            raise ValueError(
                f"range_min ({self.range_min}) must be below range_max ({self.range_max})"
            )
        return self


class LoopConfig(Section):
    """When the loop of training, mining and evaluation ends."""

    max_rounds: Positive = 2
    min_gain: float = 0.0
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    patience: Positive = 1


class EvaluationConfig(Section):
    """How rounds are measured."""

    cutoffs: Annotated[tuple[Positive, ...], Field(strict=False)] = (1, 5, 10)
    search: Literal["exact", "pooled_rerank"] = "exact"


class ClusterConfig(Section):
    """What the stages ask of Ray."""

    encode_workers: Positive = 1
    mining_workers: Positive = 1
    use_gpu: bool = False
    cpus_per_worker: Positive = 1


class Config(Section):
    """The whole configuration."""

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

    @property
    def run_path(self) -> str:
        """The run folder, absolute."""
        return storage.join(storage.absolute(self.run.root), self.run.name)

    @property
    def features_root(self) -> str:
        """Where feature stores are kept, absolute: `features.root`, or beside the runs."""
        root = self.features.root or storage.join(self.run.root, "features")
        return storage.absolute(root)

    def located(self) -> "Config":
        """The same with absolute paths, so that it means the same in every working directory."""
        backbone, heads = self.backbone.path, self.training.init_heads
        folder = Path(backbone).expanduser()
        is_folder = backbone not in (READER, RANDOM) and folder.is_dir()
        here = {
            "run": {"root": storage.absolute(self.run.root)},
            "features": {"root": self.features.root and storage.absolute(self.features.root)},
            "backbone": {"path": str(folder.absolute()) if is_folder else backbone},
            "training": {"init_heads": heads and storage.absolute(heads)},
        }
        sections = {
            name: getattr(self, name).model_copy(update=keys) for name, keys in here.items()
        }
        return self.model_copy(update=sections)


def unused_settings(config: Config) -> list[str]:
    """One sentence for every setting that was given and changes nothing beside the others."""
    unused = []
    if config.data.dev is not None and "dev_fraction" in config.data.model_fields_set:
        unused.append("data.dev_fraction has no effect: data.dev is a dataset of its own")
    named = [("train", config.data.train), ("dev", config.data.dev)]
    named += [(f"eval.{place}", dataset) for place, dataset in enumerate(config.data.eval)]
    for name, dataset in named:
        unused += [f"data.{name}.{words}" for words in (_unused_keys(dataset) if dataset else ())]
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
        keys, reason = ("format", "revision", "language"), f"{dataset.path} is built in"
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


def load_config(path: str, overrides: Sequence[str] = ()) -> Config:
    """Read `path`, what it extends, and `a.b=c` overrides.

    Raises:
        ConfigError: one line that names the file, the key, and the remedy.
    """
    document = _read_document(path, ())
    for override in overrides:
        _apply_override(document, override)
    return parse_config(document, source=path)


def parse_config(document: dict[str, Any], source: str) -> Config:
    """Validate a document that was read from `source`."""
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"{source}: {_explain(error)}") from None


class _Loader(yaml.SafeLoader):
    """YAML that reads `1e-3` as a number (PyYAML follows YAML 1.1, where it is a string).

    And that refuses a key which stands twice, of which PyYAML would take the last.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, as PyYAML calls for it."""
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else key
            if name in seen:
                problem = f"the key '{name}' stands there twice"
                raise yaml.constructor.ConstructorError(
                    problem=problem, problem_mark=key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)$"),
    list("-+0123456789."),
)


def _read_document(path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """The mapping in `path` laid over the one it `extends`, if any."""
    if path in seen:
        raise ConfigError(f"{path}: 'extends' goes round in a circle: {' -> '.join(seen)}")
    if not storage.exists(path):
        raise ConfigError(f"{path}: no such configuration file; see configs/ for complete ones")
    document = _parse_yaml(storage.read_bytes(path).decode("utf-8", "replace"), path) or {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: holds {type(document).__name__}, not sections with keys")
    base = document.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise ConfigError(f"{path}: 'extends' must name one file, found {base!r}")
    beside = storage.join(path.rsplit("/", 1)[0], base) if "/" in path else base
    return _merged(_read_document(beside, (*seen, path)), document)


def _parse_yaml(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"{source}: is not valid YAML: {problem}") from None


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, section by section; a dataset entry replaces the whole entry."""
    result = dict(base)
    for key, value in over.items():
        both_sections = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = _merged(base[key], value) if both_sections and "path" not in value else value
    return result


def _apply_override(document: dict[str, Any], override: str) -> None:
    """Set one `a.b=c` in `document`; c is read as YAML."""
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"'{override}': expected section.key=value, such as run.name=first")
    node = document
    for part in parts[:-1]:
        child = node.get(part)
        if isinstance(child, str) and part in ("train", "dev"):
            child = {"path": child}
        node[part] = child if isinstance(child, dict) else {}
        node = node[part]
    node[parts[-1]] = _parse_yaml(text, f"'{override}'")


def _explain(error: ValidationError) -> str:
    """The first problem of a validation error in one line, with its remedy."""
    problem = error.errors(include_url=False)[0]
    path = [part for part in map(str, problem["loc"]) if part not in _UNION_BRANCHES]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'{_suggestion(path)}"
    if problem["type"] == "missing":
        return f"'{key}' is missing; set it (data.train: demo is the built-in corpus)"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "value_error":
        return f"{key}: {message}"
    for pydantic_word, yaml_word in _YAML_WORDS.items():
        message = re.sub(pydantic_word, yaml_word, message)
    return f"'{key}' is {problem['input']!r}: {message}; see configs/reference.yaml"


def _suggestion(path: Sequence[str]) -> str:
    section: Any = Config
    for part in path[:-1]:
        field = section.model_fields.get(part) if isinstance(section, type) else None
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return "; see configs/reference.yaml for every key"
        section = annotation
    near = difflib.get_close_matches(path[-1], section.model_fields, n=1)
    if near:
        return f"; did you mean '{'.'.join([*path[:-1], near[0]])}'?"
    return f"; known here: {', '.join(sorted(section.model_fields))}"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(f"'{name}' is not a name; use letters, digits, '.', '_' and '-' only")
    return name


def _with_split(dataset: DatasetConfig, split: Literal["train", "dev", "test"]) -> DatasetConfig:
    """A demo dataset with its split filled in from the role it plays, and named after it."""
    if not dataset.is_demo:
        return dataset
    chosen = dataset.split or split
    name = f"{dataset.path}-{chosen}" if dataset.name == dataset.path else dataset.name
    return dataset.model_copy(update={"split": chosen, "name": name})
