"""Which process of `pytest -n` has which tests."""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent
ON_RAY = "Ray"


class ByFolder(LoadScopeScheduling):
    """The files that know Ray go to one process, as they share its cluster.

    The other files of a folder go to one process too, as they share what its fixtures make.
    """

    def __init__(self, config, log=None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # the order of `conftest`, not by number

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid.partition("::")[0])


@cache
def part_of(file: str) -> str:
    """The name of what a file of tests is shared out with: its folder, or Ray."""
    is_on_ray = "pytest.mark.ray" in (ROOT / file).read_text()
    return ON_RAY if is_on_ray else file.rpartition("/")[0]
