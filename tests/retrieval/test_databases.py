"""What `colintern embed` writes, in real databases: the own lines of docs/using.md, run."""

import re
from pathlib import Path
from typing import Any

import pytest

from colintern.retrieval.embed import EmbedSettings, embed
from colintern.runs import loop
from tests.local_run import QuickWorkers, make_config, search

PAGE = Path(__file__).parents[2] / "docs" / "using.md"
QUERY = "invoice for the kettle"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    """A finished run."""
    root = tmp_path_factory.mktemp("databases")
    loop.run(make_config(root, loop={"max_rounds": 1}), QuickWorkers())
    return str(root / "runs" / "run")


def _lines_of_the_page(database: str) -> dict[str, Any]:
    """Run the lines that load `vectors/` into a database; returns their variables."""
    section = PAGE.read_text().split("\n## Vectors for a database\n")[1].split("\n## ")[0]
    (block,) = [b for b in re.findall(r"```py\n(.*?)```", section, re.DOTALL) if database in b]
    assert QUERY in block
    found: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec"), found)
    return found


@pytest.mark.parametrize(
    "settings", [EmbedSettings(), EmbedSettings(dim=16, dtype="float16")], ids=["whole", "narrow"]
)
@pytest.mark.parametrize("database", ["lancedb", "qdrant"])
def test_a_database_finds_what_search_finds(run, tmp_path, monkeypatch, database, settings):
    """Columns that a database does not take, another measure, queries that are not turned."""
    pytest.importorskip(f"{database}_client" if database == "qdrant" else database)
    monkeypatch.chdir(tmp_path)
    embed(run, "train", "vectors", settings, QuickWorkers())
    found = _lines_of_the_page(database)["found"]
    wanted = [hit.page_id for hit in search(run, QUERY, 5, "train")]
    assert len(wanted) == len(set(wanted)) == 5
    if database == "lancedb":
        pages = [row["page_id"] for row in found]
    else:
        pages = [point.payload["page_id"] for point in found.points]
    assert pages[:5] == wanted
