"""What stands around the package: what is shipped, cleaned and declared."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_group

import colintern
from colintern.cli import app
from colintern.config.files import load_config

ROOT = Path(__file__).parent.parent


def test_the_commands_of_the_readme_name_what_is_there():
    """A first command that fails: a configuration that is gone, or that reads another folder."""
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"configs/\w+\.yaml", readme))
    assert {"configs/own.yaml", "configs/cluster.yaml"} <= named
    assert all((ROOT / name).is_file() for name in named)
    own = load_config(str(ROOT / "configs" / "own.yaml"))
    assert f"--out {own.data.train.path} " in readme
    assert f"search {own.run.root}/{own.run.name} " in readme


def test_the_python_of_the_readme_uses_what_is_public():
    """A name that only the modules inside have, or a script whose processes start processes."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for block in blocks:
        compile(block, "README.md", "exec")
    program = blocks[0]
    names = set(re.findall(r"colintern\.(\w+)", program))
    assert names == set(colintern.__all__) - {"__version__"}
    assert 'if __name__ == "__main__":' in program
    methods = set(re.findall(r"retriever\.(\w+)\(", program))
    assert {"search", "similarities"} <= methods <= set(dir(colintern.Retriever))


def test_the_commands_are_those_of_the_command_line():
    """A command that the README's table does not name, or one that is gone."""
    table = (ROOT / "README.md").read_text().split("\n## Commands\n\n")[1].split("\n\n")[0]
    first_cells = " ".join(row.split("|")[1] for row in table.splitlines()[2:])
    told = set(re.findall(r"`(?:colintern )?([a-z]+)", first_cells))
    assert told == set(get_group(app).commands)


def test_the_links_between_pages_lead_somewhere():
    """A link to a file, or to a heading of it, that is not there."""
    links = 0
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text()
        assert all(len(line) <= 100 for line in text.splitlines()), page
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", text):
            linked = page.parent / target if target else page
            assert linked.is_file(), f"{page.name}: {target}"
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE) if anchor else []
            anchors = {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings}
            assert not anchor or anchor in anchors, f"{page.name}: {target}#{anchor}"
            links += 1
    assert links > 10


def test_the_file_tree_of_the_readme_has_every_part():
    """A part that the README does not tell of, or one that it tells of and is gone."""
    readme = (ROOT / "README.md").read_text()
    tree = readme.split("\ncolintern/\n")[1].split("```")[0]
    told = set(re.findall(r"^ +([\w.]+)", tree, re.MULTILINE))
    modules = {path.parent.name for path in (ROOT / "colintern").glob("*/__init__.py")}
    modules |= {path.name for path in (ROOT / "colintern").glob("[!_]*.py")}
    assert len(modules) > 15
    assert told == modules


def test_the_make_targets_of_the_readme_are_there():
    """`make demo` in the first lines that somebody reads, and no such rule."""
    named = set(
        re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    )
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("file", [".gitignore", ".rayignore"])
def test_what_the_readme_writes_is_neither_committed_nor_shipped(file):
    """Pages in a commit, or a job that is refused because its working_dir is above 512 MiB."""
    pages = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    readme = "".join(page.read_text() for page in pages)
    ignored = (ROOT / file).read_text().splitlines()
    for folder in ("data/", "found/", "vectors/", "lance/", "qdrant/"):
        assert re.search(rf"[ \"]{folder[:-1]}[ /\"]", readme)
        assert f"/{folder}" in ignored  # with the slash: colintern/data is not meant


def test_make_clean_removes_the_demo_only(tmp_path):
    """Days of somebody's own runs and features, gone with the demo's."""
    stays = [
        "runs/mine/run.json",
        "runs/tiny/run.json",
        "runs/datasets/demo-tapes-0123abcd/dataset.json",
        "runs/features/dev-00000002/record.json",
        "runs/features/train-00000003/pages/shard-0.safetensors",
    ]
    goes = [
        "runs/demo/run.json",
        "runs/demo-control/run.json",
        "runs/datasets/demo-train-v5/dataset.json",
        "runs/features/dev-00000001/record.json",
    ]
    for path in (*stays, *goes):
        inputs = {"dataset_path": f"{tmp_path}/runs/datasets/mine"}
        if path in goes:
            inputs = {"dataset_path": f"{tmp_path}/runs/datasets/demo-dev-v5"}
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps({"inputs": inputs}, indent=2))
    shutil.copy(ROOT / "Makefile", tmp_path)
    for _ in range(2):  # the second finds nothing
        subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("runs/**/*.*")]
    assert sorted(left) == sorted(stays)


@pytest.mark.parametrize(
    ("settings", "curl", "index"),
    [
        ([], "exit 0", "https://download.pytorch.org/whl/cpu"),
        ([], "exit 6", None),
        (["TORCH_INDEX=https://example.org/cpu"], "exit 0", "https://example.org/cpu"),
        (["TORCH_INDEX="], 'case "$*" in *https:*) exit 0;; *) exit 3;; esac', None),
    ],
)
def test_torch_comes_from_the_index_of_cpu_builds_if_it_answers(tmp_path, settings, curl, index):
    """Gigabytes of CUDA for nothing, a CPU build beside GPUs, no set-up behind a mirror."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    log = tmp_path / "installed"
    _write_script(tmp_path / ".venv" / "bin" / "python", f'echo "$@" >> "{log}"')
    _write_script(tmp_path / "bin" / "curl", curl)
    outer = ("MAKEFLAGS", "MFLAGS", "TORCH_INDEX")  # of the make that runs this test
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    environment["PATH"] = f"{tmp_path / 'bin'}:{environment['PATH']}"
    command = ["make", "setup", "PYTHON=python3", *settings]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=environment)
    (torch,) = [line for line in log.read_text().splitlines() if line.endswith(" torch")]
    assert re.findall(r"--extra-index-url (\S+)", torch) == ([index] if index else [])


def test_every_imported_package_is_declared_and_every_declared_one_imported():
    """An import that breaks when another package drops it; a package that nobody uses."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        name
        for extra in ("cpu", "gpu", "export", "mteb", "serve")
        for name in project["optional-dependencies"][extra]
    ]
    required, extras = _distributions(project["dependencies"]), _distributions(extras)
    files = [file for folder in ("colintern", "ray_jobs") for file in (ROOT / folder).rglob("*.py")]
    modules = {module for file in files for module in _imported(file)}
    modules -= {*sys.stdlib_module_names, "colintern"}
    distributions = packages_distributions()
    imported = _distributions(distributions.get(name, [name])[0] for name in modules)
    assert len(imported) > 15
    assert imported - required <= extras
    assert required - imported == {"s3fs"}  # which fsspec imports


def test_the_image_is_pinned_like_the_rest():
    """Another FAISS in the image a month later, or a Ray on the nodes that the driver is not."""
    pins, gpu_pins = (_pins(ROOT / name) for name in ("constraints.txt", "cluster/constraints.txt"))
    assert not pins.keys() & gpu_pins.keys()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = chain(project["dependencies"], *project["optional-dependencies"].values())
    for requirement in map(Requirement, asked):
        pin = (pins | gpu_pins)[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), requirement
    for file in ("cluster/Dockerfile", "cluster/rayjob.yaml"):
        (version,) = re.findall(r'ray:([\d.]+)-|rayVersion: "([\d.]+)"', (ROOT / file).read_text())
        assert pins["ray"] in version


def _write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _imported(file: Path) -> set[str]:
    """The top modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def _pins(file: Path) -> dict[str, str]:
    """The exact versions of a constraints file, by name."""
    pins = re.findall(r"^([\w.-]+)==(\S+)$", file.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def _distributions(requirements) -> set[str]:
    """Their names, all spelled in one way."""
    names = (re.split(r"[^\w.-]", requirement)[0] for requirement in requirements)
    return {canonicalize_name(name) for name in names}
