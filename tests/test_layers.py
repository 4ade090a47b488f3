"""What the import contracts in pyproject.toml cannot say, because torch is one package to them."""

import ast
from pathlib import Path

import colintern

ROOT = Path(colintern.__file__).parent
ALLOWED = {"training", "runtime"}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{name.name}" for name in node.names)
    return {name for name in found if name.startswith("torch.distributed")}


def test_torch_distributed_is_known_to_training_and_runtime_only():
    """Scoring or search that only runs inside a process group."""
    users = {path.relative_to(ROOT).parts[0] for path in ROOT.rglob("*.py") if _imports(path)}
    assert users
    assert users <= ALLOWED
