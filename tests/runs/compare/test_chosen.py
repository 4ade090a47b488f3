"""Rounds and baselines as the command line names them."""

import shutil

import pytest

from colintern.errors import MissingStageError, PathError
from colintern.runs.compare.chosen import choose
from colintern.runs.compare.make import compare


def test_without_a_round_it_is_the_best(finished, moved):
    """The last round, though an earlier one is better; none, while the run goes on."""
    loop = moved / "one" / "loop.json"
    for best in (1, 2):
        loop.write_text(f'{{"best_round": {best}}}')
        assert choose(str(moved / "one")).mark == str(best)
    loop.unlink()
    assert choose(str(moved / "one")).mark == "2"
    (moved / "one" / "records" / "round-2-evaluate-test.json").unlink()
    assert choose(str(moved / "one")).mark == "1"  # round 2 is not measured on all


def test_a_round_and_a_baseline_are_chosen(finished):
    """`@2` that chooses another round, or a baseline that is taken for a path."""
    run = finished / "one"
    assert [choose(f"{run}@{mark}").name for mark in ("0", "2", "words")] == [
        "one@0",
        "one@2",
        "one@words",
    ]
    assert choose(f"{run}@words").evaluation("test") == f"{run}/baselines/words/eval/test.json"
    assert choose(f"{run}/@1").name == "one@1"


def test_what_a_run_does_not_have_is_told_with_what_it_has(finished):
    """A mistake that leaves the user to look into the folder."""
    run = finished / "one"
    with pytest.raises(MissingStageError, match="no evaluated round 7; it has rounds 0 to 2 and"):
        choose(f"{run}@7")
    with pytest.raises(MissingStageError, match=r"no baseline bm25; .* and the baseline words$"):
        choose(f"{run}@bm25")
    with pytest.raises(PathError, match="is no run folder"):
        choose(f"{finished}/nothing@2")
    with pytest.raises(MissingStageError, match="name another run to compare it with"):
        compare([str(finished / "two")])


def test_an_at_sign_in_a_path_belongs_to_it(moved):
    """A run in a folder such as `me@example.org` or `demo@2` that cannot be named."""
    folder = moved / "me@example.org" / "one@2"
    shutil.copytree(moved / "one", folder)
    assert choose(str(folder)).folder.path == str(folder)
    assert choose(f"{folder}@0").name == "one@2@0"
    shutil.copytree(moved / "one", folder.parent / "one")
    assert choose(str(folder)).folder.path == str(folder)
    assert choose(f"{folder.parent}/one/@2").folder.path == f"{folder.parent}/one/"
