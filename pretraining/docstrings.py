"""Plain English prose from docstrings: what pretraining reads, and what the demo prints.

Sources are parsed, never imported. The file in `colintern/data/demo/library/` was written by a
Python 3.11.7, from its own standard library: `python -m pretraining.docstrings`.
"""

import ast
import gzip
import json
import os
import re
import sysconfig
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from colintern.data.demo.prose import LIBRARY_FILE, Passage

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


def standard_library_passages() -> Iterator[Passage]:
    """The prose of the standard library of the Python that runs, sorted by module."""
    for module, path in _modules():
        yield from passages_of(module, path)


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


def write_library() -> None:
    """Write the file that the demo prints."""
    found = standard_library_passages()
    lines = (json.dumps([p.module, p.subject, p.text]) + "\n" for p in found)
    LIBRARY_FILE.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


if __name__ == "__main__":
    write_library()
