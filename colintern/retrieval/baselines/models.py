"""Any other model on the pages and queries of a run: encoded by workers, kept, judged as a round.

    RUN/baselines/{name}/model.json                                    what the model is (`Facts`)
    RUN/baselines/{name}/vectors/{dataset}-{8 hex}/pages-00000.safetensors, ...
    RUN/baselines/{name}/vectors/{dataset}-{8 hex}/queries-00000.safetensors, ...

A file that is there is not made again. The hexadecimal digits stand for all that the files depend
on. What is measured needs the vectors no more: they may be deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from colintern import log, records, storage
from colintern.data.canonical import CanonicalDataset
from colintern.data.page_rows import page_locations
from colintern.data.views import View
from colintern.retrieval.at_work import workers_for
from colintern.retrieval.baselines.frame import Baseline, BaselineError, MeasuredRun, checked_name
from colintern.retrieval.baselines.making import Facts, Pages, Questions, open_maker
from colintern.retrieval.baselines.model import ModelFiles, default_name, find_model
from colintern.retrieval.baselines.texts import summary_of_texts
from colintern.retrieval.baselines.vectors import best_pages
from colintern.runs.versions import MEASURING, versions
from colintern.runs.workers import Workers
from colintern.runtime.parts import Part, PartsJob

_PAGES_PER_FILE, _QUERIES_PER_FILE = 64, 512  # a worker that dies loses as much
_TOKENS_TOLD = 1_000  # of a page, when it is said what vectors take before there are any
_SCORES = {"cosine": "cosine of one vector each", "dot": "dot product of one vector each"}

MakeParts = Callable[[Sequence[Part]], None]


@dataclass(frozen=True)
class _Corpus:
    """A dataset as a model gets it.

    Attributes:
        dataset: its name in the run.
        baseline: what is measured on it.
        view: its pages and queries.
        pages: the parts that encode its pages.
        queries: the parts that encode its queries.
    """

    dataset: str
    baseline: Baseline
    view: View
    pages: Sequence[Part]
    queries: Sequence[Part]


def measure_model(
    measured: MeasuredRun,
    model: str,
    *,
    revision: str | None = None,
    name: str | None = None,
    datasets: Sequence[str] = (),
    workers: Workers | None = None,
) -> list[dict[str, Any]]:
    """Measure a model of sentence-transformers on a run's dev and test sets.

    What is measured already is left as it is; what a killed call has encoded is used.

    Args:
        measured: the run.
        model: a folder, or an id on the Hub.
        revision: a commit, tag or branch on the Hub.
        name: of the baseline; None takes the last part of `model`.
        datasets: on which; all, if none are named.
        workers: who encodes; None takes those of a Ray cluster.

    Returns:
        The metrics on each dataset.

    Raises:
        BaselineError: there is no such model, or it cannot be used; the name is that of another
            model's baseline; a dataset is not measured in the run, or has no texts and the model
            reads texts only.
    """
    files = find_model(model, revision)
    name = checked_name(name or default_name(files))
    chosen = _chosen(measured, datasets)
    with _making(measured, files, workers) as make_parts:
        facts = _facts_of(measured, name, files, make_parts)
        corpora = [_corpus(measured, name, files, facts, dataset) for dataset in chosen]
        missing = [one for one in corpora if not measured.is_measured(one.baseline, one.dataset)]
        for corpus in missing:
            _say_size(corpus, files, facts)
        make_parts([part for one in missing for part in (*one.queries, *one.pages)])
    return [
        measured.record(one.baseline, one.dataset, partial(_search, one, files)) for one in corpora
    ]


def _search(corpus: _Corpus, files: ModelFiles, view: View, depth: int) -> Iterator[Tensor]:
    """See `frame.Search`."""
    if len(view.queries):
        pages, queries = ([part.path for part in one] for one in (corpus.pages, corpus.queries))
        yield from best_pages(pages, queries, depth, files.is_multi_vector)


def _chosen(measured: MeasuredRun, datasets: Sequence[str]) -> list[str]:
    for dataset in datasets:
        if dataset not in measured.datasets:
            raise BaselineError(
                f"--dataset {dataset}: is not measured in this run; it has "
                f"{', '.join(measured.datasets)}"
            )
    return [dataset for dataset in measured.datasets if not datasets or dataset in datasets]


@contextmanager
def _making(
    measured: MeasuredRun, files: ModelFiles, workers: Workers | None
) -> Iterator[MakeParts]:
    """A function that has parts made; a cluster is joined or started when some are missing."""
    with workers_for(measured.run.config, workers) as (config, crew):

        def make_parts(parts: Sequence[Part]) -> None:
            job = PartsJob("baseline", "pages and queries", parts, partial(open_maker, files))
            crew.make_parts(job, config, measured.held)

        yield make_parts


def _facts_of(measured: MeasuredRun, name: str, files: ModelFiles, make_parts: MakeParts) -> Facts:
    """What is known of the model; a worker loads it where it is not known yet."""
    path = storage.join(measured.run.folder.baseline(name), "model.json")
    if not storage.exists(path):
        log.say("baseline", "%s: loading %s", name, files.name)
        make_parts([Part(path, 0, None)])
    facts = Facts(**storage.read_json(path))
    if facts.sha256 != files.sha256:
        raise BaselineError(
            f"--name {name}: is the name of the baseline of another model, or of another version; "
            f"choose another name, or delete {measured.run.folder.baseline(name)}"
        )
    return facts


def _corpus(
    measured: MeasuredRun, name: str, files: ModelFiles, facts: Facts, dataset: str
) -> _Corpus:
    view, _ = measured.view(dataset)
    pages = measured.pages(dataset)
    inputs: dict[str, Any] = {"model_sha256": files.sha256}
    about = _about(files, facts)
    if not facts.takes_images:
        num_texts, texts_sha256 = summary_of_texts(view, pages)
        _check_texts(dataset, num_texts, len(view.pages))
        inputs["texts_sha256"], about["pages_with_text"] = texts_sha256, num_texts
    digits = records.fingerprint({**measured.data_inputs(dataset), **inputs})[:8]
    folder = storage.join(measured.run.folder.baseline(name), "vectors", f"{dataset}-{digits}")
    return _Corpus(
        dataset,
        Baseline(name, "model", about, inputs, _protocol(files, facts)),
        view,
        list(_parts_of_pages(folder, view, pages)),
        list(_parts_of_queries(folder, view)),
    )


def _about(files: ModelFiles, facts: Facts) -> dict[str, Any]:
    return {
        "model": files.name,
        "revision": files.revision,
        "model_sha256": files.sha256,
        "reads": "images" if facts.takes_images else "texts",
    }


def _protocol(files: ModelFiles, facts: Facts) -> dict[str, Any]:
    """What differs from how a round is measured; see `evaluation.protocol`."""
    encoding = {
        "device": facts.device,
        "compute_dtype": facts.dtype,
        "attention_kernel": facts.attention_kernel,
        "image_processor": facts.image_processor,
        "pages": "images" if facts.takes_images else "texts of the corpus",
    }
    maxsim = {} if files.is_multi_vector else {"score": _SCORES[facts.similarity]}
    packages = ("sentence-transformers", *MEASURING)
    return {"encoding": encoding, "versions": versions(packages), **maxsim}


def _check_texts(dataset: str, num_texts: int, num_pages: int) -> None:
    """Make sure that a model that reads has something to read, and say what it lacks."""
    if not num_texts:
        raise BaselineError(
            f"--model: reads texts only, and none of the {num_pages:,} pages of {dataset} has a "
            "text; ingest its PDFs again, which writes the column 'text', or take a model that "
            "reads images"
        )
    if num_texts < num_pages:
        log.say(
            "baseline",
            "%s: %s of its %s pages have no text, and are never found",
            dataset,
            f"{num_pages - num_texts:,}",
            f"{num_pages:,}",
        )


def _parts_of_pages(folder: str, view: View, corpus: CanonicalDataset) -> Iterator[Part]:
    """In the order of the corpus's files, so that few row groups are read for each part."""
    ordinals = {page_id: ordinal for ordinal, page_id in enumerate(view.page_ids().to_pylist())}
    rows = [
        (ordinals.pop(page_id), location)  # of rows with one id, the first counts
        for page_id, location in page_locations(corpus.corpus_files)
        if page_id in ordinals
    ]
    for number, first in enumerate(range(0, len(rows), _PAGES_PER_FILE)):
        own = rows[first : first + _PAGES_PER_FILE]
        task = Pages([ordinal for ordinal, _ in own], [location for _, location in own])
        yield Part(_file(folder, "pages", number), len(own), task)


def _parts_of_queries(folder: str, view: View) -> Iterator[Part]:
    texts = view.texts.to_pylist()
    for number, first in enumerate(range(0, len(texts), _QUERIES_PER_FILE)):
        own = texts[first : first + _QUERIES_PER_FILE]
        task = Questions(range(first, first + len(own)), own)
        yield Part(_file(folder, "queries", number), len(own), task)


def _file(folder: str, kind: str, number: int) -> str:
    return storage.join(folder, f"{kind}-{number:05d}.safetensors")


def _say_size(corpus: _Corpus, files: ModelFiles, facts: Facts) -> None:
    """Say what is encoded, and what its vectors will take, before there are any."""
    tokens = _TOKENS_TOLD if files.is_multi_vector else 1
    num_pages, width = len(corpus.view.pages), facts.dim or 0
    log.say(
        "baseline",
        "%s  %s: %s pages and %s queries to encode; vectors of the pages take %s%s",
        corpus.baseline.name,
        corpus.dataset,
        f"{num_pages:,}",
        f"{len(corpus.view.queries):,}",
        log.size_text(4 * num_pages * tokens * width) if width else "as much as they have tokens",
        f" at {tokens:,} tokens a page" if files.is_multi_vector and width else "",
    )
