"""What stands around the package: what is shipped, cleaned and declared."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("file", [".gitignore", ".rayignore"])
def test_what_the_readme_writes_is_neither_committed_nor_shipped(file):
    """Pages in a commit, or a job that is refused because its working_dir is above 512 MiB."""
    readme = (ROOT / "README.md").read_text()
    ignored = (ROOT / file).read_text().splitlines()
    for folder in ("data/", "found/"):
        assert f" {folder}" in readme
        assert f"/{folder}" in ignored  # with the slash: colintern/data is not meant
