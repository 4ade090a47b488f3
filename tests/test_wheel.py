"""What `pip install .` installs: the package with its data, outside of any checkout."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Iterator[Path]:
    """The wheel, built by the backend that pip calls, without a download."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield folder / build_wheel(str(folder))


def test_the_wheel_has_every_file_of_the_package(wheel):
    """A reader, a template or the demo's text that is only in the checkout, where tests run."""
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for path in (ROOT / "colintern").rglob("*") if path.is_file()]
    there = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    kinds = {Path(name).suffix for name in there}
    assert {".py", ".safetensors", ".json", ".yaml", ".jinja", ".gz"} <= kinds
    assert packed == there


@pytest.mark.slow
def test_the_demo_runs_where_only_the_wheel_is(wheel, tmp_path):
    """A file that is found beside the checkout only: no report, no backbone, no command.

    The other packages are those of these tests; the project itself is not among them, as the
    `.pth` file of an editable installation counts in a folder of packages of its own only.
    """
    python = _environment_with(wheel, tmp_path / "venv")
    (stands := tmp_path / "stands").mkdir()
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    asked = [python, "-c", "import colintern; print(colintern.__file__)"]
    told = subprocess.run(
        asked, cwd=stands, env=clean, check=True, stdout=subprocess.PIPE, text=True
    )
    assert Path(told.stdout.strip()).is_relative_to(tmp_path / "venv")

    for name in ("demo.yaml", "tiny.yaml"):
        (stands / name).write_bytes((ROOT / "configs" / name).read_bytes())
    command = [python.with_name("colintern"), "run", "--config", "tiny.yaml"]
    with (tmp_path / "log").open("w") as log:
        done = subprocess.run(command, cwd=stands, env=clean, stdout=log, stderr=log)
    assert done.returncode == 0, (tmp_path / "log").read_text()
    run = stands / "runs" / "tiny"
    assert (run / "round-2" / "heads" / "heads.safetensors").is_file()
    assert "<svg" in (run / "report.html").read_text()
    assert str(ROOT) not in (run / "run.json").read_text()


def _environment_with(wheel: Path, folder: Path) -> Path:
    """A new environment with the wheel, and the packages of this one; returns its Python."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(install, check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python
