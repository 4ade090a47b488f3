"""What the settings ask of an evaluation, and whether one that is recorded is just that."""

from collections.abc import Mapping
from typing import Any

from colintern.config.schema import DEV, EvaluationConfig
from colintern.evaluation.metrics import metric_names


def asked_of(
    dataset: str, settings: EvaluationConfig, before: Mapping[str, Any] | None
) -> EvaluationConfig:
    """How a dataset is measured under `settings`.

    Dev decides on rounds, and so is searched exactly whatever `evaluation.search` says. Earlier
    versions did as it says: what they have decided on stays.

    Args:
        dataset: the name of what is measured.
        settings: those of the run.
        before: the document of the round's earlier evaluation, if there is one.
    """
    if dataset != DEV:
        return settings
    return settings.model_copy(update={"search": before["search"] if before else "exact"})


def is_as_asked(document: Mapping[str, Any], settings: EvaluationConfig) -> bool:
    """Whether an evaluation was searched as the settings ask, and has just the metrics they ask."""
    asked = asked_of(document["dataset"], settings, document)
    names = metric_names(asked.cutoffs)
    return document["search"] == asked.search and document["metrics"].keys() == set(names)
