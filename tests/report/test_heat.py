"""Heat maps: the very similarities of a search, on the regions that they belong to."""

import base64
from dataclasses import replace

import numpy as np
import pytest

from colintern.records.run_folder import RunFolder
from colintern.report.heat import MOST_WORDS, open_heat_maps
from colintern.retrieval.retriever import Retriever


def test_heat_maps_are_the_similarities_of_a_search(finished):
    """Regions of another page or question, the tokens of the thumbnail, rows for columns."""
    run, folder = RunFolder(str(finished)), str(finished)
    maps = open_heat_maps(run, run.read().config, 2, "test")
    assert not isinstance(maps, str)
    text = "question 3 of many"
    words = maps.words("q003", text)
    assert [word for word, _ in words] == text.split()
    heat = maps.heat("q003", words, "p002")
    told = Retriever.open(folder, round=2, dataset="test").similarities(text, "p002")
    assert heat is not None
    is_tile = ~told.is_thumbnail
    columns, rows = len(heat.x) - 1, len(heat.y) - 1
    assert is_tile.sum() == columns * rows > 1
    width, height = told.boxes[:, 2].max(), told.boxes[:, 3].max()
    for number, (_, own) in enumerate(words):
        expected = told.scores[list(own)].mean(axis=0)[is_tile]
        assert heat.scores[number] == pytest.approx(float(expected.max()), abs=1e-3)
        found = np.frombuffer(base64.b64decode(heat.words[number]), np.uint8).reshape(rows, columns)
        brightest = np.flatnonzero(found.ravel() == found.max())
        if found.max() > 0:
            row, column = divmod(int(brightest[0]), columns)
            left, top = told.boxes[is_tile][expected.argmax()][:2]
            assert (heat.x[column], heat.y[row]) == pytest.approx(
                (left / width, top / height), abs=1e-3
            )
    assert any(max(base64.b64decode(word)) == 255 for word in heat.words)


def test_without_features_there_is_a_sentence(finished, tmp_path):
    """No report because the features were cleaned away."""
    run = RunFolder(str(finished))
    config = run.read().config
    reduced = config.features.model_copy(update={"max_tokens_per_page": 8})
    clustered = config.model_copy(update={"features": reduced})
    assert "max_tokens_per_page" in str(open_heat_maps(run, clustered, 2, "test"))
    assert "are gone" in str(open_heat_maps(RunFolder(str(tmp_path)), config, 2, "test"))


def test_a_long_question_has_heat_maps_of_its_first_words(finished):
    """A report of hundreds of megabytes for a few questions of a thousand words."""
    run = RunFolder(str(finished))
    maps = open_heat_maps(run, run.read().config, 2, "test")
    assert not isinstance(maps, str)
    text = "question 3 of many" + " word" * 2 * MOST_WORDS
    num_tokens = len(maps.processor.query_tokens(text))
    store = replace(maps, queries=_Stored(num_tokens))
    assert [word for word, _ in store.words("q003", text)] == text.split()[:MOST_WORDS]
    assert replace(maps, queries=_Stored(num_tokens + 1)).words("q003", text) == []


class _Stored:
    """A store with one query of so many tokens."""

    def __init__(self, num_tokens: int) -> None:
        self.num_tokens = num_tokens

    def find(self, ids: list[str]) -> list[int]:
        return [0 for _ in ids]

    def row(self, position: int) -> "_Stored":
        return self
