"""English prose from the documentation of the standard library, split by module.

It comes with this package, in `library/`, and not from the Python that runs: each version of Python
says other things, so each would print another corpus. What two modules share (`ntpath` and
`posixpath` are written alike) goes to the first split only, so that no passage of a test page was
seen in training.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SPLITS = ("train", "dev", "test")
LIBRARY_VERSION = "3.11.7"  # of the Python whose documentation is printed
LIBRARY_FILE = Path(__file__).parent / "library" / f"python-{LIBRARY_VERSION}.jsonl.gz"
_SHARED_WORDS = 6  # passages with so many words in a row in common are the same text


@dataclass(frozen=True)
class Passage:
    """A few sentences of one module's documentation; `subject` is what they document."""

    module: str
    subject: str
    text: str


@lru_cache(maxsize=1)
def passages() -> dict[str, list[Passage]]:
    """All passages by split, in the order of modules and of their lines."""
    found: dict[str, list[Passage]] = {split: [] for split in SPLITS}
    library = list(library_passages())
    owner: dict[tuple[str, ...], str] = {}
    for split in SPLITS:
        for passage in (p for p in library if split_of(p.module) == split):
            runs = word_runs(passage.text)
            if all(owner.get(run, passage.subject) == passage.subject for run in runs):
                owner.update(dict.fromkeys(runs, passage.subject))
                found[split].append(passage)
    return found


def library_passages() -> Iterator[Passage]:
    """What `library/` holds, sorted by module: every passage, also those that modules share."""
    for line in gzip.decompress(LIBRARY_FILE.read_bytes()).decode().splitlines():
        yield Passage(*json.loads(line))


def split_of(module: str) -> str:
    """The split that a module's documentation belongs to."""
    share = hashlib.sha256(module.split(".")[0].encode()).digest()[0] / 256
    return "train" if share < 0.5 else "dev" if share < 0.68 else "test"


def word_runs(text: str) -> set[tuple[str, ...]]:
    """All runs of `_SHARED_WORDS` words of a text, lower case."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {
        tuple(words[start : start + _SHARED_WORDS])
        for start in range(len(words) - _SHARED_WORDS + 1)
    }
