"""Asking a finished run, as often as one likes: the best pages, embeddings, token by token."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from colintern import log
from colintern.config.schema import Config
from colintern.data.text import check_queries
from colintern.errors import DatasetError, UnknownPageError, UserError
from colintern.features.store import Items
from colintern.images.decode import BadImageError, decode
from colintern.model.backbone import FrozenBackbone
from colintern.retrieval.answers import Hit, Similarities
from colintern.retrieval.corpus import HeldCorpus, PooledCorpus, open_corpus
from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.retrieval.memory import default_memory
from colintern.retrieval.page_images import PageImages
from colintern.retrieval.token_places import token_places
from colintern.runs.workers import Workers
from colintern.scoring.packed import token_scores
from colintern.scoring.queries import EmbeddedQueries
from colintern.search import order
from colintern.storage import sha256_of_bytes


def device_of(config: Config) -> str:
    """Where a run's retriever computes: a GPU if the run used GPUs and there is one."""
    return "cuda" if config.cluster.use_gpu and torch.cuda.is_available() else "cpu"


class Retriever:
    """A finished run's heads and one dataset's pages, opened once to answer many times.

    Threads may share it. It holds nothing that has to be closed. Made by `Retriever.open`.

    Attributes:
        run: the run, with the heads of one round.
        dataset: the name of the dataset that is searched.
        device: where the backbone runs and products are computed.
    """

    def __init__(
        self,
        run: FinishedRun,
        dataset: str,
        folder: str,
        pages: Items,
        corpus: HeldCorpus | PooledCorpus,
        device: str,
    ) -> None:
        self.run, self.dataset, self.device = run, dataset, device
        self._folder, self._pages, self._corpus = folder, pages, corpus
        self._images = PageImages(folder, pages)
        self._loaded: FrozenBackbone | None = None
        self._asking = threading.Lock()  # held while the backbone is loaded or computes

    @classmethod
    def open(
        cls,
        run: str,
        round: int | None = None,
        dataset: str | None = None,
        device: str | None = None,
        memory: int | None = None,
        *,
        workers: Workers | None = None,
    ) -> Retriever:
        """Open a run to search the pages of one dataset.

        Args:
            run: the run folder, a path or URL.
            round: whose heads; 0 is before training, None takes the best round.
            dataset: a dataset of the run by its name, with the pages that the run has recorded; or
                the path of one, which is encoded on first use. None takes the first test set, or
                the training set.
            device: `cpu` or `cuda`; None takes a GPU if the run used GPUs and there is one.
            memory: bytes that page embeddings may take; None takes half of what is free on this
                machine, and on a GPU that is used. Where all are more, one pooled vector a page is
                kept, and the features of 500 candidates are read for every query.
            workers: who encodes; None takes those of a Ray cluster, which is joined or started only
                when something has to be encoded.

        Raises:
            UserError: the run, round or dataset is not there, or the memory is too little.
        """
        opened = open_finished(run, round)
        searched = opened.dataset(dataset)
        device = device or device_of(opened.config)
        store = opened.store(searched, workers)
        memory = default_memory(device) if memory is None else memory
        corpus = open_corpus(opened, store, memory, device)
        log.say(
            "retriever",
            "round %d of %s, %s: %s pages; %s",
            opened.round_number,
            run,
            searched.name,
            f"{len(store.pages):,}",
            corpus.told,
        )
        return cls(opened, searched.name, searched.path, store.pages, corpus, device)

    @property
    def round(self) -> int:
        """The round whose heads these are."""
        return self.run.round_number

    @property
    def num_pages(self) -> int:
        """The pages that are searched."""
        return len(self._pages)

    @property
    def method(self) -> str:
        """How: `exact` or `pooled_rerank`, as `evaluation.search` calls it."""
        return self._corpus.method

    @property
    def num_bytes(self) -> int:
        """Memory of the page embeddings, or pooled vectors, that are kept."""
        return self._corpus.shard.num_bytes

    def search(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]:
        """The best pages for each query, best first; the others beside it change no bit of a score.

        A query is encoded alone, where a run encodes several in one batch of the model. So scores
        can differ from those of its evaluation by the rounding of the model: 2e-6 on the demo.

        Args:
            queries: texts that a dataset's queries may be.
            k: how many pages, at least 1; a smaller corpus gives all that it has.

        Raises:
            UserError: a query cannot be asked, or no page is asked for.
        """
        if k < 1:
            raise UserError(f"k={k}: must be at least 1")
        check_queries(queries)
        embedded = [self._query(text) for text in queries]
        if not embedded:
            return []
        asked = EmbeddedQueries(torch.cat(embedded), tuple(map(len, embedded)))
        return [self._hits(key_K) for key_K in self._corpus.best(asked, min(k, self.num_pages))]

    def embed_queries(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """The embeddings of texts as search compares them: [tokens, E] each, L2-normalised.

        A text's embeddings do not depend on the texts beside it.

        Raises:
            UserError: a text cannot be asked.
        """
        check_queries(texts)
        return [self._query(text).numpy() for text in texts]

    def embed_pages(self, images: Sequence[bytes | Image.Image]) -> list[NDArray[np.float32]]:
        """The embeddings of page images as search compares them: [tokens, E] each, L2-normalised.

        Args:
            images: the bytes of image files, which are turned upright and brought to sRGB as the
                pages of a dataset are; or PIL images, whose pixels are taken as they are.

        Raises:
            UserError: an image is damaged.
        """
        return [self._page(_picture(image)).numpy() for image in images]

    def similarities(self, query: str, page_id: str) -> Similarities:
        """Every token of a query against every token of a page, with their places.

        Args:
            query: a text that a dataset's query may be.
            page_id: of the dataset.

        Raises:
            UserError: the query cannot be asked, there is no such page, or it is not known where
                its tokens lie (see `token_places`).
        """
        check_queries([query])
        position = self._position(page_id)
        stored, _ = self._pages.read([position])
        places = token_places(
            self._pages.layout(position),
            self.run.codec,
            self.run.backbone.tiles.padded_tile,
            stored,
            lambda: self._features_again(position),
        )
        page_PE = self.run.heads.exact_pages(stored.decoded())
        score_QP = token_scores(self._query(query), page_PE)
        with self._asking:
            tokens = tuple(self._backbone.query_token_texts(query))
            words = self._backbone.query_words(query)
        return Similarities(score_QP.numpy(), tokens, *places, words)

    def page_images(self, page_ids: Collection[str]) -> dict[str, bytes]:
        """The image bytes of pages of the dataset, by their ids.

        Raises:
            DatasetError: a page is not in it, or not any more, or is another picture now.
        """
        positions = {page_id: self._position(page_id) for page_id in page_ids}
        images = self._images.read(list(positions.values()))
        found = {}
        for (page_id, position), image in zip(positions.items(), images, strict=True):
            if image is None:
                raise UnknownPageError(f"{self._folder}: has no page {page_id} any more")
            if sha256_of_bytes(image) != self._pages.row(position).sha256:
                raise DatasetError(
                    f"{self._folder}: page {page_id} is not the picture that was encoded; "
                    "put it back"
                )
            found[page_id] = image
        return found

    def _features_again(self, position: int) -> Tensor:
        """The backbone's features of a page of the dataset, computed anew.

        Raises:
            DatasetError: the page is not in the dataset any more, or is another picture now.
        """
        (image,) = self.page_images([self._pages.row(position).id]).values()
        return self._page_features(decode(image))

    def _hits(self, key_K: Tensor) -> list[Hit]:
        rows = map(self._pages.row, order.to_ordinals(key_K).tolist())
        found = zip(order.to_scores(key_K).tolist(), rows, strict=True)
        return [
            Hit(rank, score, page.id, page.doc_id)
            for rank, (score, page) in enumerate(found, start=1)
        ]

    def _position(self, page_id: str) -> int:
        position = int(self._pages.find([page_id])[0])
        if position < 0:
            raise UnknownPageError(f"page {page_id}: is not in the dataset {self.dataset}")
        return position

    @property
    def _backbone(self) -> FrozenBackbone:
        """The model, loaded when it is first needed; to be used while `_asking` is held."""
        if self._loaded is None:
            self._loaded = FrozenBackbone(self.run.config.backbone, self.device)
        return self._loaded

    # One text, or one page, at a time: a model's batch of several may round differently.

    def _query(self, text: str) -> Tensor:
        """The embeddings of a text, as if its features came from a store: token_QE."""
        with self._asking:
            (features,) = self._backbone.encode_queries([text])
        return self.run.heads.exact_queries(self.run.codec.encode_query(features).decoded())

    def _page(self, picture: Image.Image) -> Tensor:
        """The embeddings of a page, as if its features came from a store: token_PE."""
        stored = self.run.codec.encode_page(self._page_features(picture))
        return self.run.heads.exact_pages(stored.decoded())

    def _page_features(self, picture: Image.Image) -> Tensor:
        with self._asking:
            (features,) = self._backbone.encode_pages([picture])
        return features


def _picture(image: bytes | Image.Image) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    try:
        return decode(image)
    except BadImageError as error:
        raise UserError(f"image: {error}; give another one") from error
