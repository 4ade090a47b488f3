"""Compares: the metrics of all that is named, and what the first is worth over each other one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from colintern.errors import MissingStageError
from colintern.evaluation.decision import METRIC
from colintern.evaluation.significance import Interval, paired_interval
from colintern.runs.compare.chosen import Chosen, choose, named
from colintern.runs.compare.differences import Differences, differences
from colintern.runs.compare.measured import Measured, NotComparableError, read_measured
from colintern.runs.compare.words import query_words, warnings


@dataclass(frozen=True)
class Pair:
    """The first and another one on one dataset.

    Attributes:
        other: the name of the other one.
        differences: what they do not have in common.
        over: the mean of first minus other in nDCG@5 over the queries, and its 95 % interval; None
            where their queries differ, so that nothing can be paired.
    """

    other: str
    differences: Differences
    over: Interval | None


@dataclass(frozen=True)
class DatasetComparison:
    """All that is compared on one dataset.

    Attributes:
        dataset: its name.
        first: what the first has measured.
        others: name to what another one has measured.
        pairs: the first with each of them.
    """

    dataset: str
    first: Measured
    others: dict[str, Measured]
    pairs: list[Pair]

    def pair(self, other: str) -> Pair | None:
        """The first with another one; None where that is not measured."""
        return next((pair for pair in self.pairs if pair.other == other), None)


@dataclass(frozen=True)
class Comparison:
    """Several rounds, or baselines, against the first.

    Attributes:
        chosen: name to what it is, the first before all others.
        first: its name.
        num_same: how often the first was given once more.
        datasets: those that the first shares with another one.
    """

    chosen: dict[str, Chosen]
    first: str
    num_same: int
    datasets: list[DatasetComparison]

    def document(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "metric": METRIC,
            "confidence": 0.95,
            "first": self.first,
            "compared": [
                {
                    "name": name,
                    "run": one.folder.path,
                    "round": one.round_number,
                    "baseline": one.baseline,
                }
                for name, one in self.chosen.items()
            ],
            "compared_with_itself": self.num_same > 0,
            "datasets": [_document(found, self.first) for found in self.datasets],
        }


def compare(arguments: Sequence[str]) -> Comparison:
    """Compare rounds of runs, or baselines, on the datasets that they share.

    A dataset is shared when both have one of its name and its queries are judged alike; where it
    stands does not matter. Where queries differ nothing is paired; where pages or the way of
    measuring differ that is told.

    Args:
        arguments: as `choose` takes them. The baselines of the first are compared too.

    Raises:
        MissingStageError: nothing is given to compare the first with, and it has no baselines.
        NotComparableError: one of them shares no dataset with the first.
    """
    first, *given = map(choose, arguments)
    others = [one for one in given if not one.is_same(first)]
    asked = _distinct([first, *others])
    if first.baseline is None:
        asked = _distinct([*asked, *first.baselines()])
    if len(asked) == 1 and not given:
        raise MissingStageError(
            f"{arguments[0]}: name another run to compare it with; it has no baselines of its own "
            "(colintern baseline makes some)"
        )
    chosen = dict(zip(named(asked), asked, strict=True))
    found = [_compared(chosen, dataset) for dataset in first.datasets]
    shared = [one for one in found if one.pairs or len(chosen) == 1]
    name, *other_names = list(chosen)[: len(_distinct([first, *others]))]
    for other in other_names:
        _check_pairs(name, other, shared)
    return Comparison(chosen, name, len(given) - len(others), shared)


def _distinct(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Each measurement once, in their order."""
    found: list[Chosen] = []
    for one in chosen:
        if not any(one.is_same(before) for before in found):
            found.append(one)
    return found


def _compared(chosen: Mapping[str, Chosen], dataset: str) -> DatasetComparison:
    """The first with all others that are measured on a dataset."""
    (_, first), *others = (
        (name, read_measured(one, dataset))
        for name, one in chosen.items()
        if one.is_measured(dataset)
    )
    seed = first.chosen.config.run.seed
    pairs = [Pair(name, *_paired(first, other, seed)) for name, other in others]
    return DatasetComparison(dataset, first, dict(others), pairs)


def _paired(first: Measured, other: Measured, seed: int) -> tuple[Differences, Interval | None]:
    found = differences(first, other)
    if not found.queries.are_same:
        return found, None
    return found, paired_interval(first.values, other.values, seed=seed)


def _check_pairs(first: str, other: str, datasets: Sequence[DatasetComparison]) -> None:
    """Make sure that something can be said about another one.

    Raises:
        NotComparableError: it has no dataset in common with the first, or none with its queries.
    """
    pairs = [(one.dataset, one.pair(other)) for one in datasets]
    found = [(dataset, pair) for dataset, pair in pairs if pair is not None]
    if any(pair.over for _, pair in found):
        return
    why = "; ".join(f"{dataset}: {query_words(pair.differences)}" for dataset, pair in found)
    raise NotComparableError(
        f"{first} and {other} cannot be compared: {why or 'no dataset is measured in both'}"
    )


def _document(found: DatasetComparison, first: str) -> dict[str, Any]:
    rows = {first: found.first, **found.others}
    return {
        "dataset": found.dataset,
        "measured": {name: dict(one.document) for name, one in rows.items()},
        "pairs": [
            {
                "first": first,
                "other": pair.other,
                "difference": pair.over and asdict(pair.over),
                "num_queries": found.first.num_queries,
                "not_in_common": asdict(pair.differences),
                "refused": None if pair.over else query_words(pair.differences),
                "warnings": warnings(pair.differences, first, pair.other),
            }
            for pair in found.pairs
        ],
    }
