"""The commits on the Hub that are known by name: of models in `pinned.json`, of benchmarks' sets.

A commit stands here only if something of ColIntern was written against it. Of all else the user
names one: a branch can change between two downloads.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from colintern.config.benchmarks import benchmarks
from colintern.errors import ConfigError

ADVISED = "OpenGVLab/InternVL3-1B-hf"  # the pretrained model that is advised for real pages

Kind = Literal["model", "dataset"]
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Pinned:
    """A model or a dataset on the Hub, at one commit.

    Attributes:
        name: `owner/name`.
        revision: the whole hash of the commit.
        kind: which of the two it is.
    """

    name: str
    revision: str
    kind: Kind


@cache
def known() -> dict[str, Pinned]:
    """All commits that are known, by the names on the Hub."""
    document = json.loads((files("colintern.config") / "pinned.json").read_text())
    models = [Pinned(name, revision, "model") for name, revision in document["models"].items()]
    tasks = (task for benchmark in benchmarks().values() for task in benchmark.tasks)
    sets = [Pinned(task.path, task.revision, "dataset") for task in tasks]
    return {pinned.name: pinned for pinned in (*models, *sets)}


def pinned(name: str, revision: str | None = None, *, is_dataset: bool = False) -> list[Pinned]:
    """What a name stands for: one model or dataset, or all datasets of a benchmark.

    Args:
        name: `owner/name` on the Hub, or a benchmark such as `vidore-v2`.
        revision: the commit; None for the known one.
        is_dataset: whether a name that is not known is that of a dataset; otherwise of a model.

    Raises:
        ConfigError: it is no such name, no commit is known, or the revision is not a whole commit.
    """
    if name in benchmarks():
        if revision is not None:
            raise ConfigError(f"--revision: {name} stands for several datasets; leave it out")
        return [known()[task.path] for task in benchmarks()[name].tasks]
    if name.count("/") != 1 or not all(name.split("/")):
        raise ConfigError(
            f"{name}: is no name on the Hub; give OWNER/NAME, such as {ADVISED}, or one of "
            f"{', '.join(benchmarks())}"
        )
    found = known().get(name)
    kind: Kind = found.kind if found else "dataset" if is_dataset else "model"
    if revision is None and found:
        return [found]
    page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}/commits/main"
    if revision is None:
        raise ConfigError(
            f"{name}: no commit of it is known here; give --revision with a whole commit hash of "
            f"{page}"
        )
    if not _COMMIT.fullmatch(revision):
        raise ConfigError(
            f"--revision {revision}: is not a whole commit hash (40 hexadecimal digits), and can "
            f"change; take one of {page}"
        )
    return [Pinned(name, revision, kind)]
