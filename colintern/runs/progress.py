"""The lines that tell a person how a run goes on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from colintern import log
from colintern.config.schema import (
    BUILT_IN,
    RANDOM,
    READER,
    READER_PRINT,
    BackboneConfig,
    DataConfig,
    datasets,
)
from colintern.config.suited import remedy
from colintern.data.added_judgements import added_judgements
from colintern.evaluation.chance import beside_chance, is_at_chance
from colintern.evaluation.decision import METRIC
from colintern.mining.evidence import shortage
from colintern.runtime.work import Progress, Tell


def say_held_out(train: str, pages: Sequence[str]) -> None:
    """Which training pages are left out because they answer dev."""
    if pages:
        log.say(
            "data",
            "%s: %d pages answer dev queries, so they are neither trained on nor mined: %s",
            train,
            len(pages),
            ", ".join(pages[:3]),
        )


def say_added(data: DataConfig) -> None:
    """How much people have said of each dataset (`data.judgements`)."""
    for dataset in datasets(data):
        if added := added_judgements(data, dataset.name):
            relevant = sum(score >= 1 for score in added.scores.values())
            log.say(
                "data",
                "%s: %d judgements of people: %d pages are right, %d are not",
                dataset.name,
                len(added),
                relevant,
                len(added) - relevant,
            )


def say_dev(dev: Mapping[str, Any]) -> None:
    """What the dev set is: of which documents, how many questions over how many pages.

    Args:
        dev: of `data.json`.
    """
    documents, named = dev["num_documents"], ", ".join(dev["documents"][:3])
    words = f"{dev['num_pages']:,} pages"
    if documents:
        more = ", ..." if documents > 3 else ""
        words = f"{documents:,} document{'s' if documents > 1 else ''}: {named}{more}"
    if dev["is_part_of_training_set"]:
        words += f" (of {dev['num_documents_of']:,} in {dev['dataset']})" if documents else ""
        words += ", taken out of training"
    log.say(
        "data",
        "dev: %s; %s questions, %s pages searched",
        words,
        f"{dev['num_questions']:,}",
        f"{dev['num_pages_searched']:,}",
    )


def say_drafted(train: Mapping[str, Any], dev: Mapping[str, Any]) -> None:
    """How many questions nobody has asked.

    Args:
        train: of `data.json`.
        dev: likewise.
    """
    for name, found in ((train["dataset"], train), ("dev", dev)):
        if found["num_drafted"]:
            log.say(
                "data",
                "%s: %s of %s questions are drafted from the text of the pages",
                name,
                f"{found['num_drafted']:,}",
                f"{found['num_questions']:,}",
            )


def say_seen_in_training(name: str, shared: Mapping[str, Any]) -> None:
    """What of a test set is in training too, and so makes it too easy.

    Args:
        name: of the test set.
        shared: what `data.json` has of it.
    """
    pages, questions = shared["num_pages_in_training"], shared["num_questions_in_training"]
    if pages or questions:
        named = ", ".join(shared["pages_in_training"][:3])
        log.say(
            "data",
            "%s: %d pages and %d questions of training also stand in it%s",
            name,
            pages,
            questions,
            f": {named}{', ...' if pages > 3 else ''}" if pages else "",
        )


def say_trained_on(num_questions: int) -> None:
    """How many dev questions the heads know that a run starts from."""
    if num_questions:
        log.warn_once(
            "data",
            f"dev: {num_questions:,} of its questions were trained on in the run that this one "
            "goes on from, as dev is taken out of a training set that has changed; so results on "
            "dev, from round 0 on, are too good: give data.dev a dataset of its own",
        )


def say_not_asked(name: str, reasons: Mapping[str, str]) -> None:
    """Which judged queries cannot be asked, and so count 0 in every metric."""
    if reasons:
        shown = ", ".join(f"{query_id} ({why})" for query_id, why in islice(reasons.items(), 3))
        log.say(
            "data", "%s: %d judged queries are bad and count as 0: %s", name, len(reasons), shown
        )


@contextmanager
def telling_steps(round_number: int) -> Iterator[Tell]:
    """Whom to tell about the steps of head training; it says so when they took fused kernels."""
    is_fused = is_begun = False
    with log.Progress("train", f"round {round_number}", "steps", tells_rate=False) as progress:

        def tell(told: Progress) -> None:
            nonlocal is_fused, is_begun
            is_fused |= told["maxsim"] == "fused"
            if not is_begun:
                is_begun = True
                progress.at_work(told["step"])  # workers may start slowly
            progress.reach(
                told["step"],
                told["steps"],
                short=f"loss {told['loss']:.4f}",
                more=f"grad {told['grad_norm']:.3f}   lr {told['lr']:.1e}   "
                f"{told['pairs_per_second']:,.0f} pairs/s",
            )

        yield tell
    if is_fused:
        log.say("train", "round %d  trained with fused MaxSim kernels", round_number)


@contextmanager
def telling_queries(part: str, round_number: int, dataset: str) -> Iterator[Tell]:
    """Whom to tell how many queries of a pass are searched."""
    with log.Progress(part, f"round {round_number}  {dataset}", "queries") as progress:
        yield lambda told: progress.reach(told["done"], told["queries"])


def say_metrics(document: Mapping[str, Any]) -> None:
    """The metrics of a round, or of a baseline, on one dataset."""
    low, high = document["ci"][METRIC]
    number, chance = document["round"], beside_chance(document)
    log.say(
        "evaluate" if number is not None else "baseline",
        "%s  %s: nDCG@5 %.3f [%.3f, %.3f]   MRR@10 %.3f   Recall@1 %.3f   Recall@10 %.3f%s",
        f"round {number}" if number is not None else document["baseline"]["name"],
        document["dataset"],
        document["metrics"][METRIC],
        low,
        high,
        document["metrics"]["mrr_at_10"],
        document["metrics"]["recall_at_1"],
        document["metrics"]["recall_at_10"],
        f"   {chance}" if chance else "",
    )


def say_loss(document: Mapping[str, Any]) -> None:
    """What a search of pooled candidates loses against an exact one, where it was measured."""
    if "loss" not in document:
        return
    loss = document["loss"]
    log.say(
        "evaluate",
        "round %d  %s: pooled candidates found %.1f %% of the exact top 5 and %.1f %% of the top "
        "100; nDCG@5 %+.3f against exact search (%d queries)",
        document["round"],
        document["dataset"],
        100 * loss["recall_at_5"],
        100 * loss["recall_at_100"],
        loss["ndcg_at_5_found"] - loss["ndcg_at_5_exact"],
        loss["num_queries"],
    )


def say_at_chance(document: Mapping[str, Any], backbone: BackboneConfig) -> None:
    """That a result is hardly better than a random order, and why that may be.

    Untrained heads may be that bad; only of the built-in backbones is it said before round 1.
    """
    is_built_in = backbone.path in BUILT_IN
    if not is_at_chance(document) or (document["round"] == 0 and not is_built_in):
        return
    reached = document["metrics"][METRIC]
    found = (
        f"round {document['round']}  {document['dataset']}: nDCG@5 {reached:.3f} "
        f"is hardly better than a random order of its {document['num_pages']} pages "
        f"({document['chance'][METRIC]:.3f})"
    )
    other = f"take another: {remedy(backbone.path)}"
    if document["round"] == 0:
        log.say("evaluate", "%s; if trained heads are no better, %s", found, other)
        return
    reasons = {
        READER: "backbone.path=reader, which reads plain printed English only, does not see what "
        f"tells these pages apart: {other}",
        READER_PRINT: "backbone.path=reader-print, which reads printed English only, does not see "
        f"what tells these pages apart: {other}",
        RANDOM: f"backbone.path=random cannot read: {other}",
    }
    likely = reasons.get(backbone.path, "this backbone may not read what tells these pages apart")
    log.warn_once(
        "evaluate",
        f"{found}; {likely}; or the print is too small for backbone.max_tiles="
        f"{backbone.max_tiles}, or the judgements name other pages",
    )


def say_mined(round_number: int, document: dict[str, Any]) -> None:
    """What a mining pass found and left out."""
    dropped = ", ".join(f"{rule} {count:,}" for rule, count in document["dropped"].items() if count)
    log.say(
        "mine",
        "round %d  %s search with recall %.3f; found pages that are not used as negatives, "
        "by rule: %s; queries with too few negatives: %d; with none: %d",
        round_number,
        document["search_used"],
        document["recall"],
        dropped or "none",
        document["underfilled"],
        document["without_negatives"],
    )
    if missing := shortage(document):
        log.warn_once("mine", f"round {round_number}  {missing}")
