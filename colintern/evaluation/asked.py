"""How the settings want an evaluation to be made, and whether a recorded one was made so."""

from collections.abc import Mapping
from typing import Any

from colintern.config.schema import DEV, EvaluationConfig
from colintern.evaluation.metrics import metric_names


def asked_of(
    dataset: str, settings: EvaluationConfig, before: Mapping[str, Any] | None
) -> EvaluationConfig:
    """The settings for one dataset.

    The dev set decides whether another round follows, so it is searched exactly, whatever
    `evaluation.search` says. Earlier versions obeyed that setting: a round that they have measured
    stays as it is.

    Args:
        dataset: the name of the dataset.
        settings: of the run.
        before: the document of an earlier evaluation of the same round, if there is one.
    """
    if dataset != DEV:
        return settings
    return settings.model_copy(update={"search": before["search"] if before else "exact"})


def is_as_asked(document: Mapping[str, Any], settings: EvaluationConfig) -> bool:
    """Whether an evaluation was searched as the settings say, and has exactly their metrics."""
    asked = asked_of(document["dataset"], settings, document)
    names = metric_names(asked.cutoffs)
    return document["search"] == asked.search and document["metrics"].keys() == set(names)
