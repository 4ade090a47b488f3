"""The command line as a user meets it: one line, the right exit code, no traceback."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer.main

from colintern import __version__, cli, log
from colintern.cli import program
from colintern.cli.commands import PANELS
from tests.helpers import free_port, make_corpus, run_main
from tests.hub_server import COMMIT, NAME, HubServer
from tests.local_run import BACKBONE

CONFIG = """
run: {{name: r, root: {root}/runs}}
data: {{train: {root}/train, eval: [{root}/test]}}
backbone: {{path: random}}
"""


@pytest.fixture
def config(tmp_path) -> str:
    make_corpus(tmp_path / "train", num_pages=20, num_queries=40)
    make_corpus(tmp_path / "test", num_pages=4, num_queries=4)
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(root=tmp_path))
    return str(path)


@pytest.fixture(autouse=True)
def own_signals():
    """The handlers of the tests, put back after a test that sets those of the command line.

    Tests that run under `nohup` ignore SIGHUP, as the command line then does, and their processes.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.getsignal(number)) for number in numbers]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["run", "--config", "{c}", "training.learning_rat=1"],
            "error: training.learning_rat=1 (command line): unknown key",
        ),
        (["run", "--config", "{c}", "training.epochs=many"], "training.epochs"),
        (["run", "--config", "{c}.gone"], "no such configuration file"),
        (["run", "--config", "/"], "Is a directory"),
        (["run", "--config", "{c}", "data.train=/no/such/folder"], "/folder: no such file"),
        (["run", "--config", "{c}", "data.eval=[/no/such/set]"], "/no/such/set"),
        (
            ["run", "--config", "{c}", "data.train=no/set"],
            "colintern ingest SOURCE... --out no/set",
        ),
        (["run", "--config", "{c}", "backbone.path=/no/model"], "backbone.path=/no/model"),
        (["run", "--config", "{c}", "backbone.path=a/b"], "backbone.revision"),
        (["run", "--config", "{c}", "training.init_heads=/no/heads"], "/no/heads"),
        (["train", "--config", "{c}"], "colintern encode"),
        (["mine", "--config", "{c}", "--round", "2"], "colintern encode"),
        (["run"], "--config"),
        (["run", "--config", "{c}", "--rounds", "3"], "--rounds"),
        (["plan", "--config", "{c}", "data.train=/no/such/folder"], "/folder: no such file"),
        (["plan", "--config", "{c}", "backbone.path=/no/model"], "backbone.path=/no/model"),
        (["plan", "--config", "{c}", "--gpu", "K80"], "--gpu K80: is not known; choose one of"),
        (["plan", "--config", "{c}", "--utilisation", "35"], "--utilisation"),
        (["run", "--continue-from", "{c}.run"], "no run folder"),
        (["status", "{c}.run"], "no run folder"),
        (["search", "{c}.run", "query"], "no run folder"),
        (["report", "{c}.run"], "no run folder"),
        (["status", "{c}.run", "--json"], "no run folder"),
        (["search", "{c}.run", "query", "--json"], "no run folder"),
        (["compare", "{c}.run", "--json"], "no run folder"),
        (["ls", "{c}.gone", "--json"], "no such folder"),
        (["plan", "--json", "--config", "{c}", "a.b=1"], "a.b=1 (command line): unknown key"),
        (["ls", "{c}.gone"], "no such folder"),
        (["ls", "{c}"], "no such folder"),
        (["clean", "{c}.gone", "--yes"], "no such folder"),
        (["baseline", "{c}.run"], "no run folder"),
        (["ladder", "{c}.run"], "no run folder"),
        (["download", "a/b"], "a/b: no commit of it is known here; give --revision"),
        (["download", "a/b", "--revision", "main"], "--revision main: is not a whole commit"),
        (["download", "OpenGVLab/InternVL3-1B-hf"], "InternVL3-1B-hf at 014c0583"),
        (["search", "{c}.run", ""], "QUERY: empty query"),
        (["search", "{c}.run", " \n\u2003"], "QUERY: empty query"),
        (["search", "{c}.run", "word " * 20_000], "QUERY: query of 100,000 characters"),
        (["search", "{c}.run", "caf\udce9"], "QUERY: query with bytes that are not UTF-8"),
        (["search", "{c}.run", "query", "-k", "0"], "-k"),
        (["serve", "{c}.run", "--port", "{port}"], "no run folder"),
        (["serve", "{c}.run", "--host", "0.0.0.0"], "--host 0.0.0.0: other machines could read"),
        (["serve", "{c}.run", "--port", "0"], "--port"),
        (["serve", "{c}.run", "--replicas", "0"], "--replicas"),
        (["serve", "{c}.run", "--memory", "much"], "--memory much: is not a size"),
        (["search", "{c}.run", "query", "--memory", "much"], "--memory much: is not a size"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(monkeypatch, capsys, config, arguments, words):
    """A traceback, or an hour of work, before the user hears of a typing error."""
    filled = [argument.format(c=config, port=free_port()) for argument in arguments]
    code, _, err = run_main(monkeypatch, capsys, *filled)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(errors) == 1
    assert words in errors[0]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("run.root=runs", "run.root=runs: in a submitted job it must be absolute"),
        ("features.root=f", "features.root=f: in a submitted job it must be absolute"),
    ],
)
def test_a_submitted_job_has_no_relative_root(monkeypatch, capsys, config, override, words):
    """Results in the job's working_dir, which Ray deletes when nobody uses it any more."""
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    code, _, err = run_main(monkeypatch, capsys, "run", "--config", config, override)
    assert code == 2
    assert err.startswith(f"error: {words}")
    assert len(err.splitlines()) == 1


def test_a_full_disk_is_one_line_and_exit_code_1(monkeypatch, capsys, config):
    """A traceback, or a failure of the machine that is told as a mistake of the user's."""

    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", fail)
    code, _, err = run_main(monkeypatch, capsys, "run", "--config", config)
    assert code == 1
    assert err.splitlines()[-1].startswith("failed: ")
    assert "No space left" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("content", ["[]", "{}", '{"config": {}}', "no json"])
@pytest.mark.parametrize("command", ["status", "report", "search", "baseline"])
def test_a_folder_with_another_run_json_is_no_run(monkeypatch, capsys, tmp_path, command, content):
    """A traceback about a file of another program's."""
    (tmp_path / "run.json").write_text(content)
    arguments = [command, str(tmp_path), *(["query"] if command == "search" else [])]
    code, _, err = run_main(monkeypatch, capsys, *arguments)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert f"error: {tmp_path}" in err
    assert "run.json" in err


def test_dev_that_is_the_training_set_is_refused(monkeypatch, capsys, config, tmp_path):
    """Nothing left to train on, found after the whole corpus was encoded."""
    folder = tmp_path / "train"
    code, _, err = run_main(monkeypatch, capsys, "run", "--config", config, f"data.dev={folder}")
    assert code == 2
    assert f"data.dev: {folder} is also data.train" in err


def test_a_corpus_without_judgements_is_refused(monkeypatch, capsys, config, tmp_path):
    """A training set that nothing can be learned from, found after encoding it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "train" / "qrels" / "part-00000.parquet"
    table = pq.read_table(path)
    column = table.schema.get_field_index("score")
    zeros = pa.array([0] * table.num_rows, pa.int32())
    pq.write_table(table.set_column(column, "score", zeros), path)
    code, _, err = run_main(monkeypatch, capsys, "run", "--config", config)
    assert code == 2
    assert "no page is judged relevant" in err


def test_a_plan_is_printed_and_nothing_is_written(monkeypatch, capsys, config, tmp_path):
    """A look at the costs that begins the run, or JSON that a program cannot read."""
    before = sorted(tmp_path.rglob("*"))
    arguments = ["plan", "--config", config, "--gpu", "l4", "--gpus", "2"]
    code, out, _ = run_main(monkeypatch, capsys, *arguments, "--price-per-gpu-hour", "1.5")
    assert code == 0
    assert "2 x L4" in out
    assert "price of that time" in out
    code, out, _ = run_main(monkeypatch, capsys, *arguments, "--json", "--pages", "1000000")
    document = json.loads(out)
    assert code == 0
    assert document["machine"]["teraflops"] == 121
    assert document["datasets"][0]["pages"]["items"] == 1_000_000
    assert sorted(tmp_path.rglob("*")) == before


def test_the_commands_and_their_options_are_the_documented_ones():
    """An option that other people's scripts use is renamed."""
    group = typer.main.get_command(cli.app)
    everywhere = {"--quiet", "-q", "--verbose", "-v"}
    completion = {"--install-completion", "--show-completion"}
    assert _options(group) == {"--version", *everywhere, *completion}
    found = {name: _options(command) for name, command in group.commands.items()}  # pyright: ignore
    assert all(everywhere <= options for options in found.values())
    assert {name: sorted(options - everywhere) for name, options in found.items()} == {
        "run": ["--config", "--continue-from", "overrides"],
        "encode": ["--config", "overrides"],
        "train": ["--config", "--round", "overrides"],
        "mine": ["--config", "--round", "overrides"],
        "evaluate": ["--config", "--mteb", "--round", "overrides"],
        "ingest": [
            "--config",
            "--dpi",
            "--language",
            "--max-bad-fraction",
            "--max-pixels",
            "--out",
            "--processes",
            "--queries",
            "--relevant-from",
            "--replace",
            "--split",
            "sources",
        ],
        "questions": ["--out", "--per-page", "--replace", "--seed", "dataset"],
        "init": ["--config", "--gpu", "--out", "--questions", "--source", "--split"],
        "plan": [
            "--config",
            "--gpu",
            "--gpus",
            "--json",
            "--pages",
            "--price-per-gpu-hour",
            "--price-per-tb-month",
            "--read-gb-per-second",
            "--sample",
            "--teraflops",
            "--utilisation",
            "--worker-memory-gb",
            "overrides",
        ],
        "status": ["--json", "run_path"],
        "report": ["run_path"],
        "compare": ["--json", "runs"],
        "ls": ["--json", "root"],
        "clean": ["--runs", "--yes", "root"],
        "baseline": ["--dataset", "--model", "--name", "--revision", "run_path"],
        "embed": ["--dataset", "--dim", "--dtype", "--out", "--round", "--tokens", "run_path"],
        "ladder": ["--dataset", "--json", "--round", "run_path"],
        "download": ["--dataset", "--out", "--revision", "name"],
        "export": ["--dim", "--out", "--round", "--side", "run_path"],
        "serve": [
            "--dataset",
            "--host",
            "--memory",
            "--port",
            "--replicas",
            "--round",
            "run_path",
        ],
        "search": [
            "--dataset",
            "--json",
            "--memory",
            "--round",
            "--save",
            "-k",
            "query",
            "run_path",
        ],
    }


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_every_help_text_is_one_sentence():
    """`--split: Of a dataset that holds several.`, which tells a newcomer nothing; or a paragraph.

    What holds if an option is not given may follow: `Number of workers; default: 2.`
    """
    group: Any = typer.main.get_command(cli.app)
    parameters = [
        parameter for command in (group, *group.commands.values()) for parameter in command.params
    ]
    texts = [str(getattr(parameter, "help", None)) for parameter in parameters]
    assert len(texts) > 20
    for text in texts:
        assert text.endswith(".")
        assert ". " not in text, text
        assert text[0].isupper()
        assert text.split()[0] not in {"Of", "As", "Default:", "In", "None"}, text


def test_every_command_stands_in_a_panel_and_has_a_summary():
    """A command that is added, and lost among others in a list that has no order."""
    group: Any = typer.main.get_command(cli.app)
    panels = [command.rich_help_panel for command in group.commands.values()]
    assert set(panels) == set(PANELS)
    assert panels == sorted(panels, key=PANELS.index)
    for command in group.commands.values():
        assert command.help.split("\n\n")[0].endswith(".")


def test_help_has_a_short_name_everywhere(monkeypatch, capsys):
    """`colintern run -h`, answered by `no such option`."""
    group: Any = typer.main.get_command(cli.app)
    for command in (None, *group.commands):
        code, out, _ = run_main(monkeypatch, capsys, *([command] if command else []), "-h")
        assert code == 0
        assert "Usage:" in out
        assert "--verbose" in out


def test_the_version_is_told(monkeypatch, capsys):
    """A report of a fault by somebody who cannot say of which version."""
    assert run_main(monkeypatch, capsys, "--version") == (0, f"colintern {__version__}\n", "")


def test_completion_knows_commands_and_options(tmp_path):
    """A completion that is installed, and says nothing, or starts torch at each Tab."""
    environment = {
        **os.environ,
        "_COLINTERN_COMPLETE": "complete_bash",
        "COMP_WORDS": "colintern st",
        "COMP_CWORD": "1",
        "PYTHONPATH": str(Path(cli.__file__).parents[2]),
    }
    (program := tmp_path / "colintern").write_text("from colintern.cli import main\nmain()\n")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == ["status"], done.stderr


@pytest.mark.parametrize(
    "arguments", [["-q", "clean", "{root}"], ["clean", "-q", "{root}"], ["clean", "{root}", "-q"]]
)
def test_quiet_may_stand_anywhere(monkeypatch, capsys, tmp_path, arguments):
    """`colintern clean ROOT -q`, as people type it, refused; results that `-q` swallows."""
    monkeypatch.setattr("colintern.runs.cleaning.find_unused", _say_and_find(tmp_path))
    filled = [argument.format(root=tmp_path) for argument in arguments]
    code, out, err = run_main(monkeypatch, capsys, *filled)
    assert (code, err) == (0, "")
    assert out


def _say_and_find(root: Path) -> Callable[..., Any]:
    from colintern.runs.cleaning import find_unused

    def find(*arguments: Any) -> Any:
        log.say("clean", "looking")
        return find_unused(*arguments)

    return find


@pytest.mark.parametrize(
    ("command", "overrides"),
    [
        *product(
            ["run", "encode", "train", "mine", "evaluate"],
            [["run.nam=x"], ["data.train=/no/such/folder"], ["data.dev={train}"]],
        ),
        ("plan", ["data.train=/no/such/folder"]),
        ("plan", ["--gpu=K80"]),
    ],
)
def test_a_mistake_is_told_before_torch_is_there(config, tmp_path, command, overrides):
    """Seconds of imports before a misspelt key, or a dataset that cannot be used, is named."""
    overrides = [override.format(train=tmp_path / "train") for override in overrides]
    _check_told_before_torch([command, "--config", config, *overrides])


def test_an_address_in_use_is_told_before_torch_is_there(config):
    """Half a minute of imports and Ray's start, then Ray's trace about a port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _check_told_before_torch(["serve", "run", "--port", str(taken.getsockname()[1])])


def _check_told_before_torch(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from colintern import cli\n"
        f"sys.argv = ['colintern', *{arguments!r}]\n"
        "try:\n    cli.main()\n"
        "except SystemExit as end:\n"
        "    print(end.code, [name for name in ('torch', 'ray') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "2 []", done.stderr


def test_a_download_says_what_to_paste(monkeypatch, capsys, tmp_path):
    """A model on the disk, and no word of how a run takes it."""
    server = HubServer(BACKBONE, "models")
    server.is_the_hub(monkeypatch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with server.running():
        code, out, _ = run_main(monkeypatch, capsys, "download", NAME, "--revision", COMMIT)
    assert code == 0
    told, where, use = out.splitlines()
    assert told == f"{NAME}, revision {COMMIT}, 88.1 kB"
    assert where.startswith(f"  in:  {tmp_path}/cache/")
    assert use.startswith(f"  use: backbone.path={NAME} backbone.revision={COMMIT} backbone.max_")


def test_ctrl_c_is_one_line_and_exit_code_130(config):
    """A traceback of a hundred lines on Ctrl-C, or a lease that is left behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", "colintern.cli", "run", "--config", config],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    runs = Path(config).parent / "runs" / "r"
    deadline = time.monotonic() + 60
    while not (runs / "run.json").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in err
    assert not list(runs.glob("lease-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_driver_has_its_exit_code(monkeypatch, capsys, number):
    """Ray's `get`, which makes a 1 of the exit code of a signal's handler; SIGHUP, that kills."""

    def wait_as_ray_does(*_, **__) -> None:
        try:
            signal.raise_signal(number)
        except SystemExit:
            raise SystemExit(1) from None

    monkeypatch.setattr(program, "app", wait_as_ray_does)
    code, _, err = run_main(monkeypatch, capsys, "run")
    assert code == 128 + number
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ImportError("broken off"), None])
def test_a_second_ctrl_c_does_not_break_off_the_end(monkeypatch, capsys, error):
    """Ray's processes, and a lease, that stay behind an impatient hand; an error of an import."""
    is_in_order = []

    def command(*_, **__) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
            is_in_order.append(True)
            if error is not None:
                raise error from None

    monkeypatch.setattr(program, "app", command)
    code, _, err = run_main(monkeypatch, capsys, "run")
    assert (code, is_in_order) == (130, [True])
    assert err.splitlines() == ["interrupted; run the same command again to continue"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_first_second_is_one_line(tmp_path, number):
    """35 lines of traceback for a Ctrl-C while typer, torch or Ray are imported."""
    (package := tmp_path / "typer").mkdir()
    (package / "__init__.py").write_text(
        f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "from colintern.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(cli.__file__).parents[2]}"},
    )
    assert done.returncode == 128 + number
    assert len(done.stderr.splitlines()) == 1, done.stderr
