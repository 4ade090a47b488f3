"""Which round of a run is used."""

import shutil
from dataclasses import replace

import pytest

from colintern import storage
from colintern.errors import DriftError, MissingStageError
from colintern.records.run_folder import RunFolder
from colintern.retrieval import finished
from colintern.retrieval.finished import best_round, open_finished


def test_the_round_that_is_best(run, tmp_path):
    """The last round where an earlier one is better, or a KeyError for a run that has none."""
    folder = RunFolder(shutil.copytree(run, tmp_path / "run"))
    decided = storage.read_json(folder.loop_json)
    storage.write_json(folder.loop_json, {**decided, "best_round": 1})
    assert best_round(folder) == 1
    storage.delete(folder.loop_json)
    assert best_round(folder) == 2
    storage.delete(folder.record_path("round-2-train"))
    assert best_round(folder) == 1
    storage.delete(folder.record_path("round-1-train"))
    with pytest.raises(MissingStageError, match="no round is trained yet"):
        best_round(folder)


def test_a_round_that_is_asked_for(run):
    """Heads of another round than the one that was named, or a traceback for one that is not."""
    assert [open_finished(run, number).round_number for number in (0, 1, 2)] == [0, 1, 2]
    with pytest.raises(MissingStageError, match=r"has no round 3; it has rounds 0 to 2"):
        open_finished(run, 3)


def test_another_backbone_than_the_heads_were_trained_on(run, monkeypatch):
    """All features encoded anew, for heads that do not fit them: scores without a meaning."""
    found = open_finished(run).backbone
    other = replace(found, checkpoint_sha256="0" * 64)
    monkeypatch.setattr(finished, "read_identity", lambda _: other)
    with pytest.raises(DriftError, match=r"^backbone\.path=.*: is not the checkpoint that"):
        open_finished(run)
