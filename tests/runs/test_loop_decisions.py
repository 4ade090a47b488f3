"""`loop.json` over several starts of one run."""

import pytest

from colintern import storage
from colintern.runs import loop
from tests.helpers import make_corpus
from tests.local_run import QuickWorkers, make_config


class _Interrupted(BaseException):
    pass


class _StopsInRound(QuickWorkers):
    """Workers that stop at the first evaluation of a round."""

    def __init__(self, round_number: int) -> None:
        super().__init__()
        self._round_number = round_number

    def search(self, work, *arguments):
        if work.keywords.get("round_number") == self._round_number:
            raise _Interrupted
        return super().search(work, *arguments)


def test_a_finished_run_that_is_extended_and_interrupted_keeps_its_decisions(tmp_path):
    """Another best round, and so other answers of a search, until the loop is back at its end."""
    rounds = {"loop": {"max_rounds": 2, "patience": 5, "min_gain": -1.0}}
    folder = loop.run(make_config(tmp_path, **rounds), QuickWorkers())
    before = storage.read_bytes(folder.loop_json)
    make_corpus(tmp_path / "late", num_pages=4, num_queries=4, first_picture=300)
    sets = {"data": {"eval": [str(tmp_path / "test"), str(tmp_path / "late")]}}
    grown = make_config(tmp_path, **rounds, **sets)
    stopping = _StopsInRound(2)
    with pytest.raises(_Interrupted):
        loop.run(grown, stopping)
    assert stopping.measured[-1] == (1, "late")  # the decision after round 1 has been made
    assert storage.read_bytes(folder.loop_json) == before
    loop.run(grown, QuickWorkers())
    assert storage.read_bytes(folder.loop_json) == before


def test_another_end_of_the_loop_is_written(tmp_path):
    """A decision to stop that stays when more rounds are asked for, or fewer."""
    for max_rounds in (2, 3, 1):
        sections = {"loop": {"max_rounds": max_rounds, "patience": 5}}
        folder = loop.run(make_config(tmp_path, **sections), QuickWorkers())
        rounds = storage.read_json(folder.loop_json)["rounds"]
        assert [entry["decision"] for entry in rounds] == ["continue"] * (max_rounds - 1) + ["stop"]
