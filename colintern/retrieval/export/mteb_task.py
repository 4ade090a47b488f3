"""A dataset folder as a task of mteb, and an exported folder as a model of mteb.

mteb takes a local folder for a model of texts. Asked about page images, it refuses to start, or
embeds nothing and scores an empty corpus without a word. Here mteb is told that the model takes
images, and the task refuses one that does not. Needs the extra `mteb`, and torchvision.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from datasets import Dataset, Features, Image, Value
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.sentence_transformer_wrapper import MultiVectorWrapper
from sentence_transformers import MultiVectorEncoder

from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.errors import DatasetError, UserError
from colintern.retrieval.resizing import resize_with_pillow

_SUBSET, _SPLIT = "default", "test"
_MODALITIES = ["image", "text"]


def exported_model(folder: str, name: str, revision: str, device: str = "cpu") -> Any:
    """An exported folder as mteb's model of page images.

    Args:
        folder: of `colintern export`, for both sides.
        name: owner/name, under which mteb keeps results.
        revision: of the model.
        device: where it runs.
    """
    model: Any = MultiVectorEncoder(folder, device=device, trust_remote_code=False)
    resize_with_pillow(model, folder)
    wrapped = MultiVectorWrapper(model)
    told = {"modalities": _MODALITIES, "name": name, "revision": revision}
    wrapped.mteb_model_meta = wrapped.mteb_model_meta.model_copy(update=told)
    return wrapped


def dataset_task(path: str, name: str, languages: Sequence[str] = ("eng-Latn",)) -> Any:
    """A canonical dataset folder as a retrieval task of mteb.

    Of the queries, those that a page is relevant to. Pages are decoded by mteb.

    Args:
        path: of the folder, on this machine.
        name: of the task.
        languages: of the queries, as mteb writes them.

    Raises:
        DatasetError: it has no page, or none is judged relevant.
    """

    class PageTask(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name=name,
            description="Find the page images that answer a question.",
            dataset={"path": path, "revision": CanonicalDataset(path).content_hash()},
            type="DocumentUnderstanding",
            category="t2i",
            modalities=["text", "image"],
            eval_splits=[_SPLIT],
            eval_langs=list(languages),
            main_score="ndcg_at_5",
        )

        def load_data(self, *_: Any, **__: Any) -> None:
            if not self.data_loaded:
                self.dataset = {_SUBSET: {_SPLIT: _split_data(path)}}
                self.data_loaded = True

        def evaluate(self, model: Any, *arguments: Any, **settings: Any) -> Any:
            check_takes_images(model)
            return super().evaluate(model, *arguments, **settings)

    return PageTask()


def check_takes_images(model: Any) -> None:
    """Make sure that mteb will give page images to a model.

    Raises:
        UserError: it would give none, and score an empty corpus.
    """
    meta = model.mteb_model_meta
    if "image" not in meta.modalities:
        raise UserError(
            f"{meta.name}: is a model of {', '.join(meta.modalities)} to mteb, which would score "
            "an empty corpus; take it from exported_model"
        )


def _split_data(path: str) -> RetrievalSplitData:
    dataset = CanonicalDataset(path)
    judgements = dataset.judgements()
    files, version = dataset.corpus_files, dataset.content_hash()
    corpus = Dataset.from_generator(
        _rows_of_pages,
        features=Features({"id": Value("string"), "image": Image()}),
        gen_kwargs={"files": files, "version": version},
    )
    if len(corpus) != len(dataset.page_ids()) or not len(corpus):
        raise DatasetError(f"{path}: mteb read {len(corpus)} of {len(dataset.page_ids())} pages")
    asked = [query for query in dataset.queries() if query.query_id in judgements]
    queries = [{"id": query.query_id, "text": query.text} for query in asked]
    return {
        "corpus": corpus,
        "queries": Dataset.from_list(queries),
        "relevant_docs": {query_id: judgements[query_id] for query_id in judgements},
        "top_ranked": None,
    }


def _rows_of_pages(files: list[str], version: str) -> Iterator[dict[str, Any]]:
    """The pages, each once. `version` makes another cache for other content at the same path."""
    seen: set[str] = set()
    for file in files:
        for _, page in iterate_pages(file):
            if page.page_id not in seen:
                seen.add(page.page_id)
                yield {"id": page.page_id, "image": {"bytes": page.image, "path": None}}
