"""The datasets of a run: each role's view of its dataset, and the store with its features."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from colintern.config.schema import DEV, DataConfig, DatasetConfig, datasets
from colintern.data.canonical import CanonicalDataset
from colintern.data.splits import PageKey, split_views
from colintern.data.views import View, view_asking, view_without, whole_view
from colintern.errors import DatasetError
from colintern.features.store import FeatureStore


@dataclass(frozen=True)
class Snapshot:
    """What a run works from of a dataset: that is read, whatever others write meanwhile.

    Attributes:
        manifests: `pages` and `queries` to the hash of the store's manifest.
        questions: each file of queries and judgements to its hash.
    """

    manifests: Mapping[str, str]
    questions: Mapping[str, str]


@dataclass(frozen=True)
class Catalog:
    """Where everything of a run is read from; small, and can be sent to workers.

    Attributes:
        data: the resolved datasets.
        seed: the run's, for the choice of dev queries.
        stores: dataset name to the path of its feature store.
        snapshots: dataset name to what is read of it; one without is read as it is now.
    """

    data: DataConfig
    seed: int
    stores: Mapping[str, str]
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)

    def train(self) -> tuple[View, FeatureStore]:
        """The training pages and queries with features: all that training and mining ever see.

        Raises:
            DatasetError: nothing is left when the pages that answer dev are taken out.
        """
        entry = self.data.train
        store = self._store(entry.name)
        if self.data.dev is None:
            return view_asking(self._split(store)[0], store.queries), store
        dataset, held_out = self._dataset(entry), set(self.pages_held_out())
        view = view_without(entry.name, dataset, store.pages.ids.to_pylist(), held_out)
        return view_asking(view, store.queries), store

    def evaluated(self, name: str) -> tuple[View, FeatureStore]:
        """The dev set or a test set: its pages and queries with features, all judgements."""
        if name == DEV and self.data.dev is None:
            store = self._store(self.data.train.name)
            return view_asking(self._split(store)[1], store.queries), store
        store = self._store(name)
        view = whole_view(name, self._dataset(self._entry(name)), store.pages.ids.to_pylist())
        return view_asking(view, store.queries), store

    def not_asked(self, name: str) -> dict[str, str]:
        """The judged queries of an evaluated set that find nothing, each with the reason."""
        view, _ = self.evaluated(name)
        reasons = self._dataset(self._entry(name)).refused_queries()
        asked = {query.query_id for query in view.queries}
        return {
            query_id: reasons.get(query_id, "no features")
            for query_id in view.judgements
            if query_id not in asked
        }

    def _split(self, store: FeatureStore) -> tuple[View, View]:
        dataset = self._dataset(self.data.train)
        items = store.pages
        documents = [*items.document_ids.to_pylist(), None]  # -1 is the last: without a document
        pages = [
            PageKey(page_id, picture, documents[document])
            for page_id, picture, document in zip(
                items.ids.to_pylist(), items.pictures.tolist(), items.documents, strict=True
            )
        ]
        return split_views(self.data.train.name, dataset, pages, self.data.dev_fraction, self.seed)

    def _entry(self, name: str) -> DatasetConfig:
        """The dataset that an evaluated set is read from; dev may be a part of train."""
        named = {dataset.name: dataset for dataset in datasets(self.data)}
        return named.get(name, self.data.train)

    def pages_held_out(self) -> list[str]:
        """The training pages that also answer a question of a dev set of its own, sorted.

        Pages that dev only searches through may be trained on, as a corpus may be shared.
        """
        if self.data.dev is None:
            return []
        train = self._store(self.data.train.name)
        view, dev = self.evaluated(DEV)
        answers = {page_id for found in view.positives.values() for page_id in found}
        return _shown_in(train, train.pages.ids.to_pylist(), dev, answers)

    def pages_seen_in_training(self, name: str) -> list[str]:
        """The pages of a dataset of its own that are training pages too, sorted."""
        train, store = self.train()
        view, other = self.evaluated(name)
        return _shown_in(other, view.page_ids, store, train.page_ids)

    def check_pages_differ(self) -> None:
        """Make sure that training has pages to tell apart.

        Raises:
            DatasetError: there is one image only, however many pages show it.
        """
        store = self._store(self.data.train.name)
        # Before a dev set is taken out of one image, which fails and is told less plainly.
        self._check_differ(store, store.pages.ids.to_pylist())
        self._check_differ(store, self.train()[0].page_ids)

    def _check_differ(self, store: FeatureStore, page_ids: Sequence[str]) -> None:
        if len(np.unique(store.pages.pictures[store.pages.find(page_ids)])) == 1:
            raise DatasetError(
                f"{self.data.train.path}: all pages to train on ({len(page_ids):,}) are one image, "
                "so that there is no wrong page to tell the right one from; give data.train others"
            )

    def check_questions(self) -> None:
        """Make sure that no dataset's queries and judgements have changed since the run began.

        Raises:
            DatasetError: some have.
        """
        for entry in datasets(self.data):
            self._dataset(entry).check_questions()

    def _dataset(self, entry: DatasetConfig) -> CanonicalDataset:
        snapshot = self.snapshots.get(entry.name)
        return CanonicalDataset(entry.path, snapshot and snapshot.questions)

    def _store(self, name: str) -> FeatureStore:
        snapshot = self.snapshots.get(name)
        return FeatureStore(self.stores[name], snapshot and snapshot.manifests)


def _shown_in(
    store: FeatureStore, page_ids: Iterable[str], other: FeatureStore, other_ids: Iterable[str]
) -> list[str]:
    """Those of `page_ids` that are the same page as one of `other_ids`, if these have features."""
    theirs = other.pages.find(list(other_ids))
    shown = store.pages.shown_in(other.pages, theirs[theirs >= 0])
    known = list(page_ids)
    return [known[at] for at in np.flatnonzero(shown[store.pages.find(known)])]
