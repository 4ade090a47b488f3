"""English prose from the documentation of the standard library, split by module.

Sources are parsed, never imported. What two modules share (`ntpath` and `posixpath` are written
alike) goes to the first split only, so that no passage of a test page was seen in training.
"""

import ast
import hashlib
import os
import re
import sysconfig
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SPLITS = ("train", "dev", "test")
_SHARED_WORDS = 6  # passages with so many words in a row in common are the same text
_MIN_WORDS = 8
_LEFT_OUT = (
    "test",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "site-packages",
    "ensurepip",
    "__pycache__",
)
_BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")  # of statements
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_PLAIN_SENTENCE = re.compile(r"[A-Z][A-Za-z0-9,;:'() -]+[.]")


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
    modules = _modules()
    by_split = {split: [m for m in modules if split_of(m[0]) == split] for split in SPLITS}
    owner: dict[tuple[str, ...], str] = {}
    for split in SPLITS:
        for module, path in by_split[split]:
            for passage in passages_of(module, path):
                runs = word_runs(passage.text)
                if all(owner.get(run, passage.subject) == passage.subject for run in runs):
                    owner.update(dict.fromkeys(runs, passage.subject))
                    found[split].append(passage)
    return found


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


def _modules() -> list[tuple[str, Path]]:
    root = Path(sysconfig.get_path("stdlib"))
    modules = []
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if name not in _LEFT_OUT and name[0] != "_"]
        for path in (Path(folder, name) for name in files if name.endswith(".py")):
            parts = path.relative_to(root).with_suffix("").parts
            modules.append((".".join(part for part in parts if part != "__init__"), path))
    return sorted(modules)


def passages_of(module: str, path: Path) -> Iterator[Passage]:
    """The plain prose of a source file's docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in _statements(tree):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            subject = module if isinstance(node, ast.Module) else f"{module}.{node.name}"
            for number, prose in enumerate(_plain_prose(text)):
                yield Passage(module, f"{subject}#{number}", prose)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """As `ast.walk`, but not down into expressions: no docstring is there, and most nodes are."""
    waiting = deque[ast.AST]([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        for field in _BLOCKS:
            waiting.extend(getattr(node, field, ()))


def _plain_prose(docstring: str) -> Iterator[str]:
    """The paragraphs of a docstring that are plain sentences: no code, tables or lists."""
    for paragraph in docstring.split("\n\n"):
        text = " ".join(paragraph.split())
        sentences = [
            sentence
            for sentence in _SENTENCE_END.split(text)
            if _PLAIN_SENTENCE.fullmatch(sentence)
        ]
        prose = " ".join(sentences)
        if len(prose.split()) >= _MIN_WORDS:
            yield prose
