"""Which process of `pytest -n` has which tests."""

import ast
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent
ON_RAY = "Ray"
_MARK = "pytest.mark.ray"


class ByFolder(LoadScopeScheduling):
    """The tests on Ray go to one process, as they share its cluster.

    The other tests of a folder go to one process too, as they share what its fixtures make.
    """

    def __init__(self, config, log=None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # the order of `conftest`, not by number

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)


def part_of(nodeid: str) -> str:
    """The name of what a test is shared out with: the folder of its file, or Ray."""
    file, _, test = nodeid.partition("::")
    is_on_ray = test.partition("[")[0] in _names_on_ray(file)
    return ON_RAY if is_on_ray else file.rpartition("/")[0]


@cache
def _names_on_ray(file: str) -> set[str]:
    """The tests of a file that are marked so, each for itself or all by `pytestmark`."""
    text = (ROOT / file).read_text()
    if _MARK not in text:  # most files, and parsing takes longer
        return set()
    statements = ast.parse(text).body
    tests = [found for found in statements if isinstance(found, ast.FunctionDef)]
    if any(isinstance(s, ast.Assign) and _MARK in ast.unparse(s) for s in statements):
        return {test.name for test in tests}
    return {test.name for test in tests if _MARK in map(ast.unparse, test.decorator_list)}
