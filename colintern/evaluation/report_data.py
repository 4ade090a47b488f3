"""What the report shows, read from the run folder alone, whatever part of it is there yet."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from PIL import Image

from colintern import storage
from colintern.data.canonical import CanonicalDataset
from colintern.data.images import BadImageError, decode
from colintern.data.triples import read_triples
from colintern.errors import ColInternError
from colintern.evaluation.evaluate import read_results
from colintern.evaluation.metrics import ranking_of
from colintern.run_folder import RunFolder

_PICTURE_PIXELS = 260
_SHOWN_PAGES = 4
_SHOWN_QUERIES = 4
_SHOWN_TRIPLES = 3


@dataclass
class ShownPage:
    """A page in the report; `picture` is a data URI, empty when the page cannot be read."""

    page_id: str
    note: str
    is_relevant: bool
    picture: str = ""


@dataclass
class Example:
    """A query and rows of pages, each row under a title."""

    query: str
    rows: list[tuple[str, list[ShownPage]]]


@dataclass
class ReportData:
    """Everything on the report's page."""

    name: str
    config: dict[str, Any]
    versions: dict[str, str]
    commit: str | None
    evaluations: dict[str, list[dict[str, Any]]]
    losses: dict[str, list[float]]
    mining: dict[int, dict[str, Any]]
    loop: dict[str, Any] | None
    stages: list[tuple[str, float]]
    triples: list[Example] = field(default_factory=list)
    queries: list[Example] = field(default_factory=list)


def read_report_data(run_path: str) -> ReportData:
    """Read a run folder, and from its datasets the pictures of a few pages."""
    folder = RunFolder(run_path)
    run = storage.read_json(folder.run_json)
    config = run["config"]
    names = ["dev", *(entry["name"] for entry in config["data"]["eval"])]
    evaluations = {name: found for name in names if (found := _evaluations(folder, name))}
    last = max((len(rounds) for rounds in evaluations.values()), default=1) + 1
    data = ReportData(
        name=config["run"]["name"],
        config=config,
        versions=run["versions"],
        commit=run["commit"],
        evaluations=evaluations,
        losses=_losses(folder, last),
        mining={
            number: storage.read_json(folder.mining(number))
            for number in range(2, last + 1)
            if storage.exists(folder.mining(number))
        },
        loop=storage.read_json(folder.loop_json) if storage.exists(folder.loop_json) else None,
        stages=_stage_seconds(folder),
    )
    data.triples = _triple_examples(folder, config, data.mining)
    data.queries = _query_examples(folder, config, data)
    return data


def _evaluations(folder: RunFolder, dataset: str) -> list[dict[str, Any]]:
    found = []
    while storage.exists(path := folder.evaluation(len(found), dataset)):
        found.append(storage.read_json(path))
    return found


def _losses(folder: RunFolder, last: int) -> dict[str, list[float]]:
    losses = {}
    for number in range(1, last + 1):
        if storage.exists(path := folder.train_log(number)):
            lines = storage.read_bytes(path).decode().splitlines()
            losses[f"round {number}"] = [json.loads(line)["loss"] for line in lines]
    return losses


def _stage_seconds(folder: RunFolder) -> list[tuple[str, float]]:
    """Stages in the order in which they began, with their seconds."""
    found = []
    for path in storage.list_files(folder.file("records"), ".json"):
        record = storage.read_json(path)
        began = datetime.fromisoformat(record["started_at"])
        ended = datetime.fromisoformat(record["finished_at"])
        stage = path.rsplit("/", 1)[-1].removesuffix(".json")
        found.append((began, stage, (ended - began).total_seconds()))
    return [(stage, seconds) for _, stage, seconds in sorted(found)]


def _triple_examples(
    folder: RunFolder, config: Mapping[str, Any], mining: Mapping[int, Any]
) -> list[Example]:
    """Queries of the last mining whose negatives came closest to their positives."""
    if not mining:
        return []
    triples = [t for t in read_triples(folder.triples(max(mining))) if t.negs]
    triples.sort(
        key=lambda triple: (min(triple.pos_scores) - triple.neg_scores[0], triple.query_id)
    )
    examples = []
    for triple in triples[:_SHOWN_TRIPLES]:
        positive = ShownPage(triple.pos[0], f"score {triple.pos_scores[0]:.3f}", True)
        negatives = [
            ShownPage(page, f"score {score:.3f}, rank {rank}", False)
            for page, score, rank in zip(
                triple.negs, triple.neg_scores, triple.neg_ranks, strict=True
            )
        ]
        rows = [("its page, then its hard negatives", [positive, *negatives[: _SHOWN_PAGES - 1]])]
        examples.append(Example(triple.query, rows))
    _add_pictures(examples, config["data"]["train"]["path"])
    return examples


def _query_examples(
    folder: RunFolder, config: Mapping[str, Any], data: ReportData
) -> list[Example]:
    """Queries of the first test set: some that the last round mended, some that still fail."""
    name = next((entry["name"] for entry in config["data"]["eval"]), None)
    if name is None or len(data.evaluations.get(name, [])) < 2:
        return []
    path = next(entry["path"] for entry in config["data"]["eval"] if entry["name"] == name)
    best = data.loop["best_round"] if data.loop else len(data.evaluations[name]) - 1
    before = ranking_of(read_results(folder.results(1, name)))
    after = ranking_of(read_results(folder.results(best, name)))
    try:
        dataset = CanonicalDataset(path)
        texts = {query.query_id: query.text for query in dataset.queries()}
        judgements = dataset.judgements()
    except ColInternError:
        return []

    def rank(ranking: Mapping[str, Sequence[str]], query_id: str) -> int:
        pages = ranking.get(query_id, ())
        found = (place for place, page in enumerate(pages, 1) if page in judgements[query_id])
        return next(found, 1_000)

    changes = sorted(
        (rank(after, query_id) - rank(before, query_id), query_id) for query_id in after
    )
    mended = [query_id for change, query_id in changes if change < 0][: _SHOWN_QUERIES // 2]
    failing = sorted(after, key=lambda query_id: (-rank(after, query_id), query_id))
    chosen = dict.fromkeys([*mended, *failing[: _SHOWN_QUERIES - len(mended)]])
    examples = []
    for query_id in chosen:
        rankings = (
            [("round 1", before)] if best == 1 else [("round 1", before), (f"round {best}", after)]
        )
        rows = [
            (
                f"{title}: first relevant page at rank {_rank_text(rank(ranking, query_id))}",
                [
                    ShownPage(page, f"rank {place}", page in judgements[query_id])
                    for place, page in enumerate(ranking[query_id][:_SHOWN_PAGES], 1)
                ],
            )
            for title, ranking in rankings
        ]
        examples.append(Example(texts[query_id], rows))
    _add_pictures(examples, path)
    return examples


def _rank_text(rank: int) -> str:
    return str(rank) if rank < 1_000 else "over 100"


def _add_pictures(examples: Sequence[Example], dataset_path: str) -> None:
    shown = [page for example in examples for _, pages in example.rows for page in pages]
    wanted = {page.page_id for page in shown}
    pictures: dict[str, str] = {}
    try:
        for page_id, image in CanonicalDataset(dataset_path).images(wanted).items():
            pictures[page_id] = _data_uri(image)
    except (ColInternError, BadImageError):
        pass  # the report comes without pictures rather than not at all
    for page in shown:
        page.picture = pictures.get(page.page_id, "")


def _data_uri(image: bytes) -> str:
    picture = decode(image)
    picture.thumbnail((_PICTURE_PIXELS, _PICTURE_PIXELS), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
