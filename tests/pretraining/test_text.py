"""What the reader has read: nothing that the demo corpus says."""

import random
import sys

import pytest

from colintern.data.demo.prose import SPLITS, passages, word_runs
from pretraining import text

SMALL = ("jsonschema", "fsspec")


def test_no_passage_of_the_demo_is_read_before():
    """A demo that is easy because the backbone has seen its pages."""
    found = list(text.pretraining_passages(SMALL))
    assert len(found) > 100
    demo = text.demo_runs()
    assert len(demo) > 10_000
    assert not any(word_runs(passage) & demo for passage in found)


def test_no_module_is_in_both():
    """A package that carries modules of the standard library."""
    demo = {passage.module.split(".")[0] for split in SPLITS for passage in passages()[split]}
    assert len(demo) > 50
    assert not demo & set(text.PACKAGES)
    assert not set(text.PACKAGES) & sys.stdlib_module_names


def test_what_is_shared_is_left_out(monkeypatch):
    """A filter that filters nothing: with the demo made of the same text, nothing remains."""
    everything = list(text.pretraining_passages(SMALL))
    runs = set().union(*(word_runs(passage) for passage in everything))
    monkeypatch.setattr(text, "demo_runs", lambda: runs)
    assert not set(text.pretraining_passages(SMALL)) & set(everything)


@pytest.mark.slow
def test_all_packages_are_apart_from_the_demo():
    """The same as above, of everything that pretraining prints."""
    demo = text.demo_runs()
    trained, held_out = text.sources()
    assert len(trained.texts) > 20_000
    assert not any(word_runs(passage) & demo for passage in (*trained.texts, *held_out.texts))
    assert not set(trained.texts) & set(held_out.texts)


def test_tiles_say_prose_words_and_entries():
    """A mixture that has lost one of its kinds, or that changes from call to call."""
    source = text.Source(("plain prose of a package",), ("word", "other"))
    said = set()
    for seed in range(60):
        words = text.tile_words(source, random.Random(seed))
        said |= {next(words) for _ in range(30)}
        again = text.tile_words(source, random.Random(seed))
        assert next(again) == next(text.tile_words(source, random.Random(seed)))
    assert {"plain", "prose", "word", "other"} <= said
    assert any(word.isdigit() for word in said)
    assert any(word in said for word in ("January", "May", "August"))
