"""Which part of the project may know which library; import-linter holds who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Library -> the folders of colintern/, and the scripts beside it, that may import it.
USERS = {
    "ray": {"runtime", "ray_jobs"},
    "faiss": {"search"},
    "torch.distributed": {"training", "runtime"},
    "deepspeed": {"training"},
    "sentence_transformers": {"retrieval"},
    "fastapi": {"retrieval"},
    "starlette": {"retrieval"},
}


@pytest.mark.parametrize("library", USERS)
def test_a_library_is_known_only_where_it_belongs(library):
    """A module, new ones too, that needs a cluster or an extra which it should go without."""
    users = {
        part
        for part, file in _modules()
        if any(_is_in(name, library) for name in _used_names(file.read_text()))
    }
    assert users
    assert users <= USERS[library]


@pytest.mark.parametrize(
    ("source", "library"),
    [
        ("import ray", "ray"),
        ("import numpy, ray.data as rd", "ray"),
        ("from ray.train import ScalingConfig", "ray"),
        ("def late():\n    import faiss", "faiss"),
        ("if TYPE_CHECKING:\n    from deepspeed import DeepSpeedEngine", "deepspeed"),
        ("from torch import distributed as dist", "torch.distributed"),
        ("from sentence_transformers import SentenceTransformer", "sentence_transformers"),
        ("import torch\ntorch.distributed.barrier()", "torch.distributed"),
    ],
)
def test_a_planted_import_is_found(source, library):
    """A way to write an import that the test above does not see."""
    assert [known for known in USERS if any(_is_in(n, known) for n in _used_names(source))] == [
        library
    ]


def test_a_name_that_only_looks_alike_is_no_import():
    """A module of ours that must not be called `ray_log`."""
    source = "import rayon\nfrom colintern.runtime import ray\nimport torch\ntorch.cuda.sync()"
    assert not any(_is_in(name, library) for name in _used_names(source) for library in USERS)


def _modules() -> Iterator[tuple[str, Path]]:
    """Every module with its part: the first name below colintern/, or the folder of scripts."""
    package = ROOT / "colintern"
    for file in package.rglob("*.py"):
        yield file.relative_to(package).parts[0].removesuffix(".py"), file
    for file in (ROOT / "ray_jobs").rglob("*.py"):
        yield "ray_jobs", file


def _used_names(source: str) -> Iterator[str]:
    """Dotted names that are imported anywhere in a module, or reached through one that is."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def _is_in(name: str, library: str) -> bool:
    return name == library or name.startswith(f"{library}.")
