"""What the report says of mining: counts, overlap, and pairs to be judged."""

import json

import pytest

from colintern.data.triples import Triple, writing_triples
from colintern.records.run_folder import RunFolder
from colintern.report.mined import Histogram, read_mined


def _write(run, number: int, triples: list[Triple]) -> None:
    folder = run / f"round-{number}"
    folder.mkdir(parents=True)
    (folder / "mining.json").write_text(json.dumps({"dropped": {"positive": 3, "same_page": 0}}))
    with writing_triples(str(folder / "triples.jsonl")) as write:
        for triple in triples:
            write(triple)


def _triple(number: int, negs: list[str], difference: float = 0.1) -> Triple:
    scores = [0.5 - difference - 0.01 * place for place in range(len(negs))]
    ranks = list(range(2, 2 + len(negs)))
    name = f"q{number:03d}"
    return Triple(name, f"question {number}", ["low", "high"], negs, [0.5, 0.6], scores, ranks)


def test_the_hardest_pairs_and_a_draw_of_all(tmp_path):
    """Pairs of the first questions only; easy ones called hardest; a pair shown twice."""
    differences = [0.4 * ((7 * number) % 200) / 200 for number in range(200)]
    _write(tmp_path, 2, [_triple(n, ["x", "y"], d) for n, d in enumerate(differences)])
    pairs = read_mined(RunFolder(str(tmp_path)), [2], seed=0)[2].pairs
    hardest = [pair for pair in pairs if pair.is_hardest]
    assert [pair.difference for pair in hardest] == pytest.approx(sorted(differences)[:25])
    drawn = [pair for pair in pairs if not pair.is_hardest]
    assert len({pair.query_id for pair in pairs}) == len(pairs)
    assert len(drawn) == 25
    assert max(pair.query_id for pair in drawn) > "q100"
    assert (pairs[0].right.page_id, pairs[0].negative.page_id) == ("low", "x")
    again = read_mined(RunFolder(str(tmp_path)), [2], seed=0)[2].pairs
    assert again == pairs


@pytest.mark.parametrize(
    ("before", "after", "overlap"),
    [
        ({1: ["a", "b"], 2: ["c"]}, {1: ["b", "a"], 2: ["c"]}, 1.0),
        ({1: ["a", "b"], 3: ["c"]}, {1: ["a", "x"], 2: ["c"], 3: ["y"]}, 0.25),
        ({2: ["a"]}, {1: ["a"]}, 0.0),
        ({1: ["a"]}, {1: []}, None),
    ],
)
def test_the_overlap_with_the_mining_before(tmp_path, before, after, overlap):
    """The same page of another question counted as the same; questions that only one has."""
    for number, found in ((2, before), (3, after)):
        _write(tmp_path, number, [_triple(query, negs) for query, negs in found.items()])
    mined = read_mined(RunFolder(str(tmp_path)), [2, 3], seed=0)
    assert (mined[2].overlap, mined[3].overlap) == (None, overlap)


def test_what_is_counted_in_the_drawings(tmp_path):
    """A score beside its bin; differences from another page than the lowest right one."""
    _write(tmp_path, 2, [_triple(0, ["x", "y"], 0.1), _triple(1, [])])
    mined = read_mined(RunFolder(str(tmp_path)), [2], seed=0)[2]
    assert [mined.positives.counts.sum(), mined.negatives.counts.sum()] == [4, 2]
    assert _values(mined.differences) == pytest.approx([0.1, 0.11], abs=0.0051)
    assert _values(mined.positives) == pytest.approx([0.5, 0.5, 0.6, 0.6], abs=0.0051)
    assert mined.rules == [("answer the question by a judgement, of it or of an equal question", 3)]


def _values(histogram: Histogram) -> list[float]:
    """The lower ends of the bins, as often as they are counted."""
    pairs = zip(histogram.edges[:-1], histogram.counts, strict=True)
    return [float(edge) for edge, count in pairs for _ in range(count)]
