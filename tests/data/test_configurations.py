"""Several datasets and splits in one folder: never mixed, and what is left out is told."""

from pathlib import Path

import pytest

from colintern import log
from colintern.config.schema import DatasetConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.layouts import find_layout
from colintern.data.names import split_in
from colintern.data.resolve import find_source, made
from colintern.errors import DatasetError
from colintern.storage import sha256_of_bytes, version_of
from tests.data.helpers import resolve, write
from tests.helpers import make_corpus, png


@pytest.fixture
def told(monkeypatch) -> list[str]:
    lines = []
    monkeypatch.setattr(log, "warn_once", lambda part, message: lines.append(message))
    return lines


def _beir(folder: Path, text: str, form: str = "{part}/test-00000-of-00001") -> None:
    """One page, and a question about it whose text tells where it stands."""
    parts = {
        "corpus": {"corpus__id": [1], "image": [png(len(text))]},
        "queries": {"query__id": [5], "query": [text]},
        "qrels": {"query__id": [5], "corpus__id": [1], "score": [1]},
    }
    for part, columns in parts.items():
        write(folder / f"{form.format(part=part)}.parquet", **columns)


def _rows(folder: Path, *names: str) -> None:
    for name in names:
        write(folder / f"{name}.parquet", query=[name], image=[png(len(name))])


def _texts(folder: Path, root: Path, **keys) -> list[str]:
    return sorted(query.text for query in resolve(folder, root, **keys).queries())


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train.parquet", "train"),
        ("data/training-00000-of-00002.parquet", "train"),
        ("val-00000-of-00001-0123abcd.parquet", "dev"),
        ("my_valid.2.parquet", "dev"),
        ("Validation 1.parquet", "dev"),
        ("data/dev/part-0.parquet", "dev"),
        ("eval_set/part-0.parquet", "test"),
        ("x/testing/deep/part-0.parquet", "test"),
        ("test/part-train.parquet", "test"),
        ("evaluation/train-00000-of-00001.parquet", "train"),
        ("test2.parquet", "test"),
        ("trainer.parquet", None),
        ("latest/contest-0.parquet", None),
        ("devices-validated.parquet", None),
        ("train-test.parquet", None),
        ("part-00000.parquet", None),
    ],
)
def test_the_split_of_a_file(path, split):
    """Four words known of nine, or a word inside another."""
    assert split_in(path) == split


@pytest.mark.parametrize(
    ("names", "split", "taken", "left_out"),
    [
        (["train-0", "val-0"], "train", ["train-0"], []),
        (["train-0", "val-0"], "dev", ["val-0"], []),
        (["train/a", "evaluation/b"], "test", ["evaluation/b"], []),
        (["train-0", "extra"], "train", ["train-0"], ["extra"]),
        (["train-0", "extra"], None, ["train-0"], ["extra"]),
        (["a", "b"], None, ["a", "b"], []),
        (["a", "b"], "train", ["a", "b"], ["has no effect"]),
    ],
)
def test_files_of_no_split_are_not_mixed_into_one(tmp_path, told, names, split, taken, left_out):
    """`val-*.parquet` beside `train-*`, of which all questions are trained on."""
    _rows(tmp_path / "set", *names)
    assert _texts(tmp_path / "set", tmp_path, split=split) == taken
    assert all(any(words in line for line in told) for words in left_out)
    assert bool(told) == bool(left_out)


def test_a_split_that_no_file_names_is_refused(tmp_path):
    """A test set that is the training set: all files taken for any split."""
    _rows(tmp_path / "set", "a", "b")
    with pytest.raises(DatasetError, match=r"set: has no split test: no file .*; remove split"):
        find_layout(str(tmp_path / "set"), "test")
    _beir(tmp_path / "other", "x", "data/{part}-0")
    with pytest.raises(DatasetError, match="other: has no split dev"):
        find_layout(str(tmp_path / "other"), "dev")


def test_a_part_without_splits_is_shared_by_all(tmp_path):
    """Questions of one split over a corpus of all, refused; or another split's questions."""
    for split in ("train", "val"):
        _beir(tmp_path / "set", split, f"{{part}}/{split}-0")
        (tmp_path / f"set/corpus/{split}-0.parquet").unlink()
    write(tmp_path / "set/corpus/pages.parquet", corpus__id=[1], image=[png(1)])
    assert _texts(tmp_path / "set", tmp_path, split="dev") == ["val"]
    with pytest.raises(DatasetError, match=r"several splits \(dev, train\)"):
        _texts(tmp_path / "set", tmp_path)


@pytest.mark.parametrize(
    "form",
    [
        "{config}/{part}/test-00000-of-00001",
        "{config}/{part}-00000-of-00001",
        "data/{config}/{part}/0",
        "{part}/{config}/0",
        "{config}-{part}/test-00000-of-00001",
        "{config}_{part}/test-00000-of-00001",
        "{part}-{config}/0",
    ],
)
def test_configurations_are_chosen_and_never_mixed(tmp_path, form):
    """`finance/` and `energy/` as one dataset, whose pages answer for each other."""
    for config in ("finance", "energy"):
        _beir(tmp_path / "set", config, form.replace("{config}", config))
    name = {"data/{config}/{part}/0": "data/{}"}.get(form, "{}")
    energy, finance = name.format("energy"), name.format("finance")
    example = rf"\({energy}, {finance}\); choose one: \{{path: .*, config: {energy}\}}"
    with pytest.raises(DatasetError, match=f"several configurations {example}"):
        _texts(tmp_path / "set", tmp_path)
    assert _texts(tmp_path / "set", tmp_path, config=finance) == ["finance"]
    assert _texts(tmp_path / "set", tmp_path, config=energy) == ["energy"]
    with pytest.raises(DatasetError, match=rf"no configuration law; it has {energy}, {finance}"):
        _texts(tmp_path / "set", tmp_path, config="law")


def test_configurations_of_rows(tmp_path):
    """vdr-multilingual-train: a folder of rows for each language, all five taken."""
    _rows(tmp_path / "set", "en/train-0", "en/train-1", "de/train-0", "de/test-0")
    with pytest.raises(DatasetError, match=r"several configurations \(de, en\)"):
        _texts(tmp_path / "set", tmp_path)
    assert _texts(tmp_path / "set", tmp_path, config="en") == ["en/train-0", "en/train-1"]
    assert _texts(tmp_path / "set", tmp_path, config="de", split="test") == ["de/test-0"]


def test_configurations_share_what_stands_around_them(tmp_path):
    """Questions of two languages over one corpus."""
    for config in ("english", "french"):
        _beir(tmp_path / "set", config, f"{config}-{{part}}/test-0")
        (tmp_path / f"set/{config}-corpus/test-0.parquet").unlink()
    write(tmp_path / "set/corpus/test-0.parquet", corpus__id=[1], image=[png(1)])
    assert _texts(tmp_path / "set", tmp_path, config="french") == ["french"]


def test_folders_named_by_splits_are_no_configurations(tmp_path):
    """`train/corpus` and `test/corpus`, to be chosen as split, called two configurations."""
    for split in ("train", "test"):
        _beir(tmp_path / "set", split, f"{split}/{{part}}/0")
    assert _texts(tmp_path / "set", tmp_path, split="test") == ["test"]
    with pytest.raises(DatasetError, match="several splits"):
        _texts(tmp_path / "set", tmp_path)


@pytest.mark.parametrize("hidden", [".cache", ".ipynb_checkpoints", "_temporary", "__MACOSX"])
def test_hidden_folders_and_files_are_no_data(tmp_path, told, hidden):
    """The half of a download, or a notebook's checkpoint, as more pages and questions."""
    make_corpus(tmp_path / "set", num_pages=3, num_queries=3)
    before = CanonicalDataset(str(tmp_path / "set")).content_hash()
    _beir(tmp_path / "set", "hidden", f"{hidden}/{{part}}/test-0")
    (tmp_path / "set/corpus" / f"{hidden[:2]}part.parquet").write_bytes(b"Mac OS X")
    dataset = resolve(tmp_path / "set", tmp_path)
    assert dataset.path == str(tmp_path / "set")
    assert len(dataset.corpus_files) == 1
    assert dataset.content_hash() == before
    dataset.check()
    assert told == []


@pytest.mark.parametrize(
    "form",
    ["old/{part}/test-0", "backup/2024/{part}-0", "{part}/old/test-0", "old-{part}/0"],
)
def test_a_backup_beside_a_dataset_is_left_out_and_told(tmp_path, told, form):
    """A second whole layout inside the first, with pages that have been replaced since."""
    make_corpus(tmp_path / "set", num_pages=3, num_queries=3)
    _beir(tmp_path / "set", "of the backup", form)
    dataset = resolve(tmp_path / "set", tmp_path)
    assert (dataset.path, len(dataset.queries())) == (str(tmp_path / "set"), 3)
    name = "backup/2024" if "2024" in form else "old"
    assert [line for line in told if f"its other configurations are left out: {name} " in line]
    assert _texts(tmp_path / "set", tmp_path, config=name) == ["of the backup"]


@pytest.mark.parametrize("folder", ["{part} (copy)", "Copy of {part}", "{part}.bak"])
def test_a_copy_of_a_part_is_not_the_part(tmp_path, folder):
    """`corpus (copy)/`, pooled with what it was copied from."""
    make_corpus(tmp_path / "set", num_pages=3, num_queries=3)
    _beir(tmp_path / "set", "of the copy", f"{folder}/part-0")
    dataset = resolve(tmp_path / "set", tmp_path)
    assert (dataset.path, len(dataset.queries())) == (str(tmp_path / "set"), 3)


@pytest.mark.parametrize(
    ("corpus", "queries", "qrels"),
    [
        (["2023/a", "2024/a"], ["0"], ["0"]),
        (["0", "2024/a"], ["0"], ["0"]),
        (["lang=en/a", "lang=de/a"], ["2023/0", "2024/0"], ["0"]),
        (["x/a", "y/a"], ["x/0", "y/0"], ["x/0"]),
    ],
)
def test_folders_that_only_cut_a_part_are_no_configurations(tmp_path, told, corpus, queries, qrels):
    """A corpus in a folder for each year: refused, or one year of it without a word."""
    for number, name in enumerate(corpus):
        columns = {"corpus__id": [number], "image": [png(number)]}
        write(tmp_path / f"set/corpus/{name}.parquet", **columns)
    for number, name in enumerate(queries):
        write(tmp_path / f"set/queries/{name}.parquet", query__id=[number], query=[str(number)])
    judged = {"query__id": [0], "corpus__id": [1], "score": [1]}
    write(tmp_path / f"set/qrels/{qrels[0]}.parquet", **judged)
    dataset = resolve(tmp_path / "set", tmp_path)
    dataset.check()
    assert list(dataset.documents()) == ["0", "1"]
    assert len(dataset.queries()) == len(queries)
    assert told == []


def test_a_canonical_folder_is_one_dataset_whatever_its_files_are_called(tmp_path, told):
    """A finished run's corpus without the pages about buses, because others are about trains."""
    make_corpus(tmp_path / "set", num_pages=3, num_queries=3)
    corpus = tmp_path / "set/corpus"
    (corpus / "part-00000.parquet").rename(corpus / "train-maintenance.parquet")
    write(corpus / "bus-maintenance.parquet", corpus__id=["bus"], image=[png(9)])
    dataset = resolve(tmp_path / "set", tmp_path)
    assert (dataset.path, len(dataset.documents())) == (str(tmp_path / "set"), 4)
    assert told == []


def test_parts_of_no_whole_dataset_are_told(tmp_path, told):
    """Pages that were believed to be in the corpus, left out without a word."""
    _beir(tmp_path / "set", "whole", "finance/{part}/0")
    write(tmp_path / "set/energy/corpus/0.parquet", corpus__id=["more"], image=[png(9)])
    assert _texts(tmp_path / "set", tmp_path) == ["whole"]
    assert [line for line in told if "set/energy/corpus/0.parquet" in line]


def test_a_chosen_canonical_folder_is_read_where_it_stands(tmp_path):
    """A corpus copied, images and all, because it is one of two."""
    for config in ("finance", "energy"):
        make_corpus(tmp_path / "set" / config, num_pages=3, num_queries=3)
    dataset = resolve(tmp_path / "set", tmp_path, config="finance")
    assert dataset.path == str(tmp_path / "set" / "finance")
    assert not (tmp_path / "made").exists()


def test_a_configuration_is_in_the_default_name():
    """Two configurations of one repository that are both called after it."""

    def name(**keys) -> str:
        return DatasetConfig.model_validate(keys).name

    assert name(path="hf://datasets/vidore/x@ab12", config="finance") == "x-finance"
    assert name(path="data/set", config="a b/c") == "set-a-b-c"
    assert name(path="data/set", config="finance", name="mine") == "mine"


CARD = "---\nlicense: mit\nconfigs:\n{}---\n\nconfigs: of nothing\n"
VIDORE_V3 = """\
- config_name: corpus
  data_files:
  - split: test
    path: corpus/test-*
- config_name: documents_metadata
  data_files:
  - split: test
    path: documents_metadata/test-*
- config_name: qrels
  data_files:
  - split: test
    path: qrels/test-*
- config_name: queries
  data_files:
  - split: test
    path: queries/test-*
"""
LANGUAGES = "".join(
    f"- config_name: {language}-{part}\n  data_files:\n  - split: test\n"
    f"    path: {language}-{part}/test-*\n"
    for language in ("english", "no")
    for part in ("corpus", "qrels", "queries")
)


def _card(folder: Path, configs: str, mark: str = "\n") -> None:
    (folder / "README.md").write_bytes(CARD.format(configs).replace("\n", mark).encode())


@pytest.mark.parametrize("split", [None, "test"])
def test_the_configurations_of_vidore_are_parts_of_one_dataset(tmp_path, told, split):
    """ViDoRe v2 and v3: four configurations of which one is to be chosen."""
    _beir(tmp_path / "set", "asked")
    write(tmp_path / "set/documents_metadata/test-00000-of-00001.parquet", file_name=["a.pdf"])
    _card(tmp_path / "set", VIDORE_V3)
    dataset = resolve(tmp_path / "set", tmp_path, split=split)
    assert [query.text for query in dataset.queries()] == ["asked"]
    assert dataset.path == str(tmp_path / "set")
    assert told == []


def test_configurations_of_parts(tmp_path):
    """ViDoRe as mteb has it: a configuration for each part of each language."""
    for language in ("english", "no"):
        _beir(tmp_path / "set", language, f"{language}-{{part}}/test-00000-of-00001")
    _card(tmp_path / "set", LANGUAGES, "\r\n")
    with pytest.raises(DatasetError, match=r"several configurations \(english, no\)"):
        _texts(tmp_path / "set", tmp_path)
    assert _texts(tmp_path / "set", tmp_path, config="no") == ["no"]


@pytest.mark.parametrize(
    ("configs", "keys", "taken"),
    [
        ("- {config_name: a, data_files: x/one.parquet}\n", {}, ["x/one"]),
        ("- {config_name: a, data_files: [x/one.parquet, ./x/t*.parquet]}\n", {}, None),
        ("- {config_name: a, data_dir: y}\n", {}, ["y/deep/four", "y/three"]),
        (
            "- {config_name: default, data_files: 'x/*'}\n- {config_name: b, data_dir: y}\n",
            {},
            None,
        ),
        (
            "- {config_name: a, data_files: 'x/*'}\n"
            "- {config_name: b, data_files: '**/t*', default: true}\n",
            {},
            ["x/two", "y/three"],
        ),
        (
            "- {config_name: a, data_files: 'x/*'}\n- {config_name: b, data_dir: y}\n",
            {"config": "a"},
            None,
        ),
        (
            "- config_name: a\n  data_files:\n  - {split: train, path: x/*}\n"
            "  - {split: validation, path: [y/three.parquet, y/deep/*]}\n",
            {"split": "dev"},
            ["y/deep/four", "y/three"],
        ),
        (
            "- config_name: a\n  data_files:\n  - {split: train, path: x/one*}\n"
            "  - {split: union_train, path: x/two*}\n",
            {"split": "train"},
            ["x/one"],
        ),
        ("- {config_name: a, data_files: [_h/five.parquet]}\n", {}, ["_h/five"]),
        (
            "- {config_name: a, data_files: '**'}\n",
            {},
            ["x/one", "x/two", "y/deep/four", "y/three"],
        ),
        ("- {config_name: a, data_files: z.jsonl}\n", {"config": "x"}, None),
    ],
)
def test_the_configs_of_a_readme_decide(tmp_path, told, configs, keys, taken):
    """Files that a README puts together, taken apart by their folders, or the other way round."""
    _rows(tmp_path / "set", "x/one", "x/two", "y/three", "y/deep/four", "_h/five")
    _card(tmp_path / "set", configs)
    assert _texts(tmp_path / "set", tmp_path, **keys) == (taken or ["x/one", "x/two"])


@pytest.mark.parametrize(
    ("configs", "words"),
    [
        ("- [\n", r"README.md: its front matter is not YAML"),
        ("- {data_files: x}\n", r"README.md: its configs cannot be read.* config_name"),
        ("- {config_name: a, data_files: {train: x}}\n", r"README.md: its configs cannot be read"),
        ("- {config_name: a, data_files: [{path: x}]}\n", r"README.md: its configs cannot be read"),
        ("- {config_name: a, data_files: '**.parquet'}\n", r"README.md: the pattern \*\*\.parquet"),
    ],
)
def test_a_readme_that_cannot_be_read_is_one_line(tmp_path, configs, words):
    """A KeyError, or all files of all configurations."""
    _rows(tmp_path / "set", "one")
    _card(tmp_path / "set", configs)
    with pytest.raises(DatasetError, match=words):
        find_layout(str(tmp_path / "set"), None)


def test_parts_that_stand_apart(tmp_path):
    """Parts in three folders, which are one dataset; not when there are two of one."""
    _beir(tmp_path / "set", "x", "{part}/0")
    for part, folder in (("corpus", "a"), ("queries", "b"), ("qrels", "c")):
        (tmp_path / "set" / folder).mkdir()
        (tmp_path / "set" / part).rename(tmp_path / "set" / folder / part)
    assert _texts(tmp_path / "set", tmp_path) == ["x"]
    write(tmp_path / "set/other/queries/0.parquet", query__id=[5], query=["other"])
    with pytest.raises(
        DatasetError, match=r"stand apart \(a, b, c, other\) and no folder holds all"
    ):
        find_layout(str(tmp_path / "set"), None)


def test_what_a_choice_has_made_is_read_again_as_it_is(tmp_path):
    """A run's own record of its datasets, by which they would be made once more."""
    _beir(tmp_path / "set", "one", "finance/{part}/test-0")
    keys = {"config": "finance", "split": "test", "relevant_from": 1.0}
    folder = resolve(tmp_path / "set", tmp_path, **keys).path
    again = DatasetConfig.model_validate({"path": folder, "name": "set-finance", **keys})
    assert made(find_source(again, str(tmp_path / "other"))) == folder
    other = again.model_copy(update={"config": None, "relevant_from": 2.0})
    second = made(find_source(other.model_copy(update={"split": None}), str(tmp_path / "other")))
    assert second != folder
    with pytest.raises(DatasetError, match="no page is judged relevant"):
        CanonicalDataset(second).judgements()


@pytest.mark.parametrize("language", [None, "en"])
def test_what_an_earlier_version_has_made_is_found_again(tmp_path, language):
    """A corpus copied once more, under another name, and then encoded once more."""
    rows = tmp_path / "set" / "rows.parquet"
    write(rows, query=["a"], image=[png(1)], language=["en"])
    made_from = [str(tmp_path / "set"), "rows", str(language), f"{rows} {version_of(str(rows))}"]
    digest = sha256_of_bytes("\n".join(made_from).encode())[:8]
    dataset = resolve(tmp_path / "set", tmp_path, language=language)
    assert dataset.path == str(tmp_path / "made" / f"set-{digest}")
    other = resolve(tmp_path / "set", tmp_path, language=language, relevant_from=0.5, name="set")
    assert other.path != dataset.path
