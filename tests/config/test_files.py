"""Mistakes in a configuration get one line that names the key and the remedy."""

from pathlib import Path

import pytest

from colintern.config.files import load_config
from colintern.errors import ConfigError

ROOT = Path(__file__).parents[2]
MINIMAL = "data: {train: demo, dev: demo, eval: [demo]}\n"


@pytest.fixture
def file(tmp_path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL)
    return str(path)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.learning_rat=1", "did you mean 'training.learning_rate'"),
        ("foo.bar=1", "unknown key 'foo'"),
        ("data.eval=/pages", "data.eval: takes a list of datasets: data.eval=[/pages]"),
        ("evaluation.cutoffs=5", "takes a list: evaluation.cutoffs=[5]"),
        ("cluster.encode_workers=x", "'cluster.encode_workers' is 'x'"),
        ("training.epochs=x", "'training.epochs' is 'x'"),
        ("training.epochs=true", "'training.epochs' is True"),
        ("run.seed=1.5", "'run.seed' is 1.5"),
        ("run.seed=9223372036854775808", "'run.seed' is 9223372036854775808: input should be less"),
        (
            "training.learning_rate=.inf",
            "'training.learning_rate' is inf: input should be a finite",
        ),
        ("training.learning_rate=1e999", "'training.learning_rate' is inf"),
        ("loop.min_gain=.nan", "'loop.min_gain' is nan: input should be a finite number"),
        ("mining.max_score=-.inf", "'mining.max_score' is -inf: input should be a finite number"),
        ("run.name=a/b", "not a valid name"),
        ("data.train=3", "'data.train' is 3"),
        ("data.eval=[demo, demo]", "two datasets are called 'demo-test'"),
        ("mining.range_min=60", "range_min (60) must be below range_max (50)"),
        ("training.filter_margin=3", "only null is supported"),
        ("backbone.layer=top", "'backbone.layer' is 'top'"),
        ("backbone.layer=[1]", "backbone.layer: a list needs two or more layers, found [1]"),
        ("backbone.layer=[1, 1]", "backbone.layer: a list must not name a layer twice"),
        ("backbone.layer=[1, top]", "'backbone.layer' is [1, 'top']"),
        ("backbone.attention=both", "'backbone.attention' is 'both'"),
        ("heads.layer_mix=true", "heads.layer_mix: needs several layers, but backbone.layer=-1"),
        ("training.global_batch=1", "greater than or equal to 2"),
        ("nonsense", "expected section.key=value"),
    ],
)
def test_mistakes_are_named(file, override, words):
    """A typing error that is ignored, or found an hour later as a loss that is not finite."""
    with pytest.raises(ConfigError) as caught:
        load_config(file, [override])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "overrides", "blamed"),
    [
        ("", ["training.learning_rat=1"], "training.learning_rat=1 (command line): unknown key"),
        ("", ["run.seed=1", "run.seed=x"], "run.seed=x (command line): 'run.seed' is 'x'"),
        ("", ["data.train={path: demo, a: 1}"], "data.train={path: demo, a: 1} (command line): "),
        ("", ["foo.bar=1"], "foo.bar=1 (command line): unknown key 'foo'"),
        ("run: {sed: 1}\n", ["run.seed=1"], "{file}: unknown key 'run.sed'"),
        ("mining: {range_max: 9}\n", ["mining.range_min=9"], "{file} with mining.range_min=9: "),
        ("mining: {range_max: 0}\n", ["run.seed=1"], "{file}: 'mining.range_max' is 0"),
    ],
)
def test_a_mistake_is_blamed_on_where_it_was_made(file, content, overrides, blamed):
    """A key mistyped on the command line, looked for in the file; or the other way round."""
    Path(file).write_text(MINIMAL + content)
    with pytest.raises(ConfigError) as caught:
        load_config(file, overrides)
    assert str(caught.value).startswith(blamed.replace("{file}", file))


def test_overrides_and_extends(tmp_path, file):
    """A section that replaces the whole base section; 1e-3 read as text."""
    (tmp_path / "child.yaml").write_text("extends: c.yaml\ntraining: {learning_rate: 1e-3}\n")
    config = load_config(str(tmp_path / "child.yaml"), ["training.epochs=[3, 1]", "run.seed=7"])
    assert config.training.learning_rate == 0.001
    assert config.training.epochs_of_round(1) == 3
    assert config.training.epochs_of_round(5) == 1
    assert config.run.seed == 7
    assert [dataset.name for dataset in config.data.eval] == ["demo-test"]
    assert config.data.dev is not None
    assert config.data.dev.name == "dev"
    assert config.data.train.split == "train"


def test_extends_in_a_circle_and_missing_files(tmp_path):
    """Endless recursion; a missing file without its name."""
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(ConfigError, match="leads back to the same file"):
        load_config(str(tmp_path / "a.yaml"))
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        load_config(str(tmp_path / "gone.yaml"))


def test_a_key_that_stands_twice_is_refused(tmp_path):
    """The first of two sections of one name, ignored without a word."""
    path = tmp_path / "c.yaml"
    path.write_text("data: {train: demo}\nrun: {seed: 1}\nrun: {name: first}\n")
    with pytest.raises(ConfigError, match=r"c.yaml: .* key 'run' is given twice .* line 3"):
        load_config(str(path))


def test_every_shipped_configuration_loads():
    """A recipe that a renamed key has broken."""
    files = sorted((ROOT / "configs").glob("*.yaml"))
    assert len(files) >= 3
    for path in files:
        load_config(str(path))
