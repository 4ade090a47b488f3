"""A complete run is known again without torch, and never when anything has changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from colintern.config.files import with_overrides
from colintern.records.run_folder import RunFolder
from colintern.runs import loop
from colintern.runs.unchanged import dataset_states, is_unchanged, note_complete
from tests.local_run import NoWorkers, QuickWorkers, make_config


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """The settings of a complete run, after its note is written."""
    config = make_config(tmp_path_factory.mktemp("complete"))
    assert not is_unchanged(config)
    before = dataset_states(config)
    loop.run(config, QuickWorkers())
    note_complete(config, before)
    return config


def test_a_complete_run_is_known_until_a_setting_changes(complete):
    """A command that waits for torch to find that nothing is to be done; a setting not heard."""
    assert is_unchanged(complete)
    document = complete.model_dump(mode="json")
    assert not is_unchanged(with_overrides(document, ["loop.max_rounds=3"], "test"))


@pytest.mark.parametrize(
    "pattern",
    [
        "runs/run/round-1/heads/heads.safetensors",
        "runs/run/records/report.json",
        "runs/run/report.html",
        "runs/features/test-*/pages/shard-*.safetensors",
        "train/qrels/*.parquet",
    ],
)
def test_a_file_that_has_changed_is_seen(complete, pattern):
    """A run that is called complete while its heads, its features or its questions are others."""
    path = next(Path(complete.run.root).parent.glob(pattern))
    assert is_unchanged(complete)
    os.utime(path, ns=(0, 0))
    assert not is_unchanged(complete)
    note_complete(complete, dataset_states(complete))


def test_a_dataset_that_changes_while_the_run_works_is_looked_at_again(tmp_path):
    """New judgements put in during the hours of a run: noted as what the run has judged by."""
    config = make_config(tmp_path)
    before = dataset_states(config)
    loop.run(config, QuickWorkers())
    os.utime(next((tmp_path / "test" / "qrels").iterdir()), ns=(0, 0))
    note_complete(config, before)
    assert not is_unchanged(config)


def test_the_features_of_a_root_that_was_moved_are_watched(complete, tmp_path):
    """A shard that is lost, and not seen, as it is looked for where the root stood before."""
    shutil.copytree(complete.run.root, tmp_path / "runs")
    document = complete.model_dump(mode="json")
    config = with_overrides(document, [f"run.root={tmp_path}/runs"], "test")
    loop.run(config, NoWorkers())
    note_complete(config, dataset_states(config))
    assert is_unchanged(config)
    next((tmp_path / "runs" / "features").glob("test-*/pages/shard-*.safetensors")).unlink()
    assert not is_unchanged(config)


def test_a_run_that_is_removed_is_made_again(tmp_path):
    """An error about a file of the removed run, or the word that all of it is done."""
    config = make_config(tmp_path)
    before = dataset_states(config)
    loop.run(config, QuickWorkers())
    note_complete(config, before)
    run = Path(config.run_path)
    run.rename(run.with_name("elsewhere"))
    assert not is_unchanged(config)


def test_the_command_says_so_with_the_table_and_imports_no_torch(complete, tmp_path):
    """Eight seconds of imports, and then not a word of where the report is."""
    (settings := tmp_path / "c.yaml").write_text(json.dumps(complete.model_dump(mode="json")))
    program = (
        "import sys\n"
        "from colintern import cli\n"
        f"sys.argv = ['colintern', 'run', '--config', {str(settings)!r}]\n"
        "try:\n    cli.main()\n"
        "except SystemExit as end:\n"
        "    print(end.code, [name for name in ('torch', 'ray') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    *table, report, end = done.stdout.splitlines()
    assert end == "0 []", done.stderr
    assert "all stages are done; nothing to do" in done.stderr
    assert report == f"report: {RunFolder(complete.run_path).report}"
    assert table[0].startswith("dataset")


def test_encoding_nothing_says_so(complete, monkeypatch):
    """`colintern encode` that ends after some seconds without a word."""
    said = []
    monkeypatch.setattr(loop.log, "say", lambda part, text, *values: said.append(text % values))
    loop.encode(complete, NoWorkers())
    assert said == ["all datasets are encoded; nothing to do"]
