"""The baselines in the report: what else was measured, and how far the best round is from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from colintern import storage
from colintern.config.schema import Config, dataset_of
from colintern.data.added_judgements import added_judgements
from colintern.data.canonical import CanonicalDataset
from colintern.errors import ColInternError
from colintern.evaluation.paired import difference
from colintern.evaluation.significance import Interval
from colintern.evaluation.titles import title_of_baseline
from colintern.records.run_folder import RunFolder, baseline_stage

_QUESTIONS = "dataset_sha256."  # inputs of its record: what was judged
_ADDED = "data.judgements"
_WHAT = {
    "bm25": "BM25 over the text of the pages ({pages_with_text:,} of {num_pages:,} have one)",
    "pooled": "one vector for each page and question, the mean of those of round {round}",
}


@dataclass(frozen=True)
class ShownBaseline:
    """A row below the rounds of a dataset.

    Attributes:
        title: what it is called.
        what: what it is, in a few words; empty where its title says it.
        document: its metrics, shaped as those of a round.
        gain: of the best round over it, in nDCG@5; None where that round is not evaluated, or the
            dataset is gone or has other judgements now.
    """

    title: str
    what: str
    document: dict[str, Any]
    gain: Interval | None


def shown_baselines(
    folder: RunFolder, config: Config, dataset: str, best_round: int | None, names: Sequence[str]
) -> list[ShownBaseline]:
    """The rows of a dataset.

    Args:
        folder: of the run.
        config: its settings.
        dataset: the name of an evaluated set.
        best_round: that baselines are compared with; None where it is not evaluated.
        names: of baselines that are recorded on it.
    """
    found = []
    for name in names:
        document = storage.read_json(folder.baseline_evaluation(name, dataset))
        about = document["baseline"]
        found.append(
            ShownBaseline(
                title=title_of_baseline(document),
                what=_WHAT.get(about["kind"], "").format_map({**document, **about}),
                document=document,
                gain=None if best_round is None else _gain(folder, config, best_round, document),
            )
        )
    return found


def _gain(
    folder: RunFolder, config: Config, best_round: int, document: dict[str, Any]
) -> Interval | None:
    name, dataset = document["baseline"]["name"], document["dataset"]
    record = folder.record(baseline_stage(name, dataset))
    inputs = record.inputs if record else {}
    questions = {
        key.removeprefix(_QUESTIONS): value
        for key, value in inputs.items()
        if key.startswith(_QUESTIONS)
    }
    entry = dataset_of(config.data, dataset)
    try:
        added = added_judgements(config.data, entry.name)
        if inputs.get(_ADDED) != (added and added.sha256):
            return None
        judged = CanonicalDataset(entry.path, questions, added=added).judgements()
    except ColInternError:
        return None  # a report without intervals is better than none
    return difference(
        judged,
        folder.results(best_round, dataset),
        folder.baseline_results(name, dataset),
        num_queries=document["num_queries"],
        seed=config.run.seed,
    )
