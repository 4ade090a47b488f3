"""Published figures: with their sources, and only beside what was measured as a whole."""

import pytest

from colintern.config.benchmarks import benchmarks
from colintern.config.files import parse_config
from colintern.evaluation.published import published, standings


def _tests(*names: str):
    return parse_config({"data": {"train": "demo", "eval": list(names)}}, "test").data.eval


def _document(ndcg: float, **subsets: float) -> dict:
    own = {name: {"metrics": {"ndcg_at_5": value}} for name, value in subsets.items()}
    return {"metrics": {"ndcg_at_5": ndcg}, **({"subsets": own} if own else {})}


def test_every_figure_says_where_it_is_from():
    """A number in a table that nobody can check."""
    for figure in published():
        assert figure.benchmark in benchmarks()
        assert figure.metric == benchmarks()[figure.benchmark].main_score
        assert 0 < figure.value < 100
        assert (figure.source is None) == (figure.read is None)
        assert figure.source is None or "https://" in figure.source
        assert figure.gain in ("linear", "unknown")
    assert {figure.benchmark for figure in published()} == benchmarks().keys()


def test_a_whole_benchmark_stands_beside_what_is_published():
    """The mean over all queries, where leaderboards take that over datasets and languages."""
    tests = _tests("vidore-v2")
    documents = {dataset.name: _document(0.5) for dataset in tests}
    documents["vidore-v2-ESGReports"] = _document(0.1, french=0.2, spanish=0.4, other=0.9)
    (standing,) = standings(tests, documents)
    assert standing.own == pytest.approx(100 * (3 * 0.5 + 0.3) / 4)
    values = [figure.value for figure in standing.figures]
    assert values == sorted(values, reverse=True)
    assert {figure.benchmark for figure in standing.figures} == {"vidore-v2"}


def test_a_part_of_a_benchmark_has_no_published_figures():
    """Three easy test sets beside a mean of four; or a benchmark that is not measured yet."""
    tests = _tests("vidore-v2", "demo")
    documents = {dataset.name: _document(0.5) for dataset in tests[1:]}
    assert standings(tests, documents) == []
