"""The text on the pretraining tiles: documentation of installed packages, and made-up entries.

The demo uses texts of the standard library. None of them is used here: the modules are others, and
passages that share six words in a row with the demo are left out.
"""

import random
import re
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from colintern.data.demo.prose import SPLITS, passages, word_runs
from pretraining.docstrings import passages_of
from pretraining.words import MONTHS, made_up_name

# Packages that constraints.txt pins, with much plain English in their docstrings.
PACKAGES = (
    "botocore",
    "deepspeed",
    "fontTools",
    "fsspec",
    "huggingface_hub",
    "hypothesis",
    "jsonschema",
    "matplotlib",
    "networkx",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "ray",
    "scipy",
    "sympy",
    "torch",
    "transformers",
)
_LEFT_OUT = ("tests", "test", "testing", "_vendor", "thirdparty", "thirdparty_files", "vendored")
_HELD_OUT_EVERY = 40  # one passage in 40 is not trained on, but used to measure reading
_WORD = re.compile(r"[A-Za-z]{2,14}")


@dataclass(frozen=True)
class Source:
    """Passages to print, and the words that occur in them more than once, sorted."""

    texts: tuple[str, ...]
    words: tuple[str, ...]


@lru_cache(maxsize=1)
def sources(packages: tuple[str, ...] = PACKAGES) -> tuple[Source, Source]:
    """What is trained on, and what is held out."""
    texts = list(pretraining_passages(packages))
    trained = [text for number, text in enumerate(texts) if number % _HELD_OUT_EVERY]
    held_out = texts[::_HELD_OUT_EVERY]
    counts: dict[str, int] = {}
    for text in trained:
        for word in _WORD.findall(text):
            counts[word.lower()] = counts.get(word.lower(), 0) + 1
    words = tuple(sorted(word for word, count in counts.items() if count > 1))
    return Source(tuple(trained), words), Source(tuple(held_out), words)


def pretraining_passages(packages: Iterable[str] = PACKAGES) -> Iterator[str]:
    """The prose of the packages' docstrings, none of it twice, none of it from the demo corpus."""
    taken = demo_runs()
    seen: set[str] = set()
    root = Path(sysconfig.get_path("purelib"))
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            if any(part in _LEFT_OUT for part in path.relative_to(root).parts):
                continue
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            for passage in passages_of(module, path):
                if passage.text not in seen and not word_runs(passage.text) & taken:
                    seen.add(passage.text)
                    yield passage.text


@lru_cache(maxsize=1)
def demo_runs() -> set[tuple[str, ...]]:
    """All runs of words that stand in the text of the demo corpus."""
    found: set[tuple[str, ...]] = set()
    for split in SPLITS:
        for passage in passages()[split]:
            found |= word_runs(passage.text)
    return found


def tile_words(source: Source, draw: random.Random) -> Iterator[str]:
    """An endless stream of words for one tile: prose, words at random, or entries of forms."""
    kind = draw.choices(("prose", "words", "entries"), (45, 30, 25))[0]
    while True:
        if kind == "prose":
            yield from draw.choice(source.texts).split()
        elif kind == "words":
            word = draw.choice(source.words)
            yield word.capitalize() if draw.random() < 0.2 else word
        else:
            yield from _entry(source, draw).split()


def _entry(source: Source, draw: random.Random) -> str:
    """What forms are filled in with: words, numbers, amounts, dates, names made of syllables."""
    kind = draw.randrange(6)
    if kind == 0:
        return str(draw.randrange(10 ** draw.randint(1, 5)))
    if kind == 1:
        return f"{draw.randrange(10 ** draw.randint(1, 3))}.{draw.randrange(100):02d}"
    if kind == 2:
        return f"{draw.randint(1, 31)} {draw.choice(MONTHS)} {draw.randint(1900, 2099)}"
    if kind == 3:
        return " ".join(made_up_name(draw) for _ in range(draw.randint(1, 2)))
    word = draw.choice(source.words)
    if kind == 4:
        return f"{word.capitalize()}:" if draw.random() < 0.5 else word.upper()[:10]
    return word


def tokenizer_texts(source: Source, seed: int) -> Iterator[str]:
    """The trained passages, and so many entries that numbers get tokens of two digits."""
    yield from source.texts
    draw = random.Random(f"{seed} tokenizer")
    for _ in range(2 * len(source.texts)):
        yield _entry(source, draw)
