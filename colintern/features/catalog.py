"""The datasets of a run: each role's view of its dataset, and the store with its features."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from colintern.config.schema import DEV, DataConfig, DatasetConfig, datasets
from colintern.data.added_judgements import added_judgements
from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import find
from colintern.data.splits import split_views
from colintern.data.views import Positions, View, view_without, whole_view
from colintern.errors import DatasetError
from colintern.features.store import PAGES, QUERIES, FeatureStore


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
        data: the resolved datasets, and the file of people's judgements, which never changes.
        seed: the run's, for the choice of dev queries.
        stores: dataset name to the path of its feature store.
        snapshots: dataset name to what is read of it; one without is read as it is now.
        cache_bytes: how much of remote stores each machine may keep (`features.cache_bytes`).
    """

    data: DataConfig
    seed: int
    stores: Mapping[str, str]
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    cache_bytes: int = 0

    def __getstate__(self) -> dict[str, Any]:
        own = (item.name for item in fields(self))  # not what has been read
        return {name: getattr(self, name) for name in own}

    def opened(self) -> "OpenedCatalog":
        """The datasets, read; once, when all that is read of them is known by its hash.

        Who works on longer than one call keeps either what this returns or the catalog itself.
        """
        return self._kept if all(map(self._is_pinned, self.stores)) else OpenedCatalog(self)

    @cached_property
    def _kept(self) -> "OpenedCatalog":
        return OpenedCatalog(self)

    def train(self) -> tuple[View, FeatureStore]:
        """The training pages and queries with features: all that training and mining ever see.

        Raises:
            DatasetError: nothing is left when the pages that answer dev are taken out.
        """
        return self.opened().train()

    def evaluated(self, name: str) -> tuple[View, FeatureStore]:
        """The dev set or a test set: its pages and queries with features, all judgements."""
        return self.opened().evaluated(name)

    def not_asked(self, name: str) -> dict[str, str]:
        """The judged queries of an evaluated set that find nothing, each with the reason."""
        return self.opened().not_asked(name)

    def pages_held_out(self) -> list[str]:
        """The training pages that also answer a question of a dev set of its own, sorted.

        Pages that dev only searches through may be trained on, as a corpus may be shared.
        """
        opened = self.opened()
        ids = opened.store(self.data.train.name).pages.ids
        return ids.take(opened.held_out).to_pylist()

    def pages_seen_in_training(self, name: str) -> list[str]:
        """The pages of a dataset of its own that are training pages too, sorted."""
        return self.opened().seen_in_training(name)

    def check_pages_differ(self) -> None:
        """Make sure that training has pages to tell apart.

        Raises:
            DatasetError: there is one image only, however many pages show it.
        """
        self.opened().check_pages_differ()

    def check_questions(self) -> None:
        """Make sure that no dataset's queries and judgements have changed since the run began.

        Raises:
            DatasetError: some have.
        """
        for entry in datasets(self.data):
            self.dataset(entry).check_questions()

    def dataset(self, entry: DatasetConfig) -> CanonicalDataset:
        """A dataset folder, of which nothing is read yet."""
        snapshot = self.snapshots.get(entry.name)
        added = added_judgements(self.data, entry.name)
        return CanonicalDataset(entry.path, snapshot and snapshot.questions, added=added)

    def store(self, name: str) -> FeatureStore:
        """The store of a dataset, as its manifests are now or as the run has recorded them."""
        snapshot = self.snapshots.get(name)
        manifests = snapshot and snapshot.manifests
        return FeatureStore(self.stores[name], manifests, cache_bytes=self.cache_bytes)

    def _is_pinned(self, name: str) -> bool:
        """Whether all that is read of a dataset is known by its hash."""
        snapshot = self.snapshots.get(name)
        return snapshot is not None and {PAGES, QUERIES} <= snapshot.manifests.keys()


class OpenedCatalog:
    """The datasets of a run, each read when it is first asked for, and kept in memory."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._data = catalog.data
        self._stores: dict[str, FeatureStore] = {}
        self._datasets: dict[str, CanonicalDataset] = {}
        self._views: dict[str, View] = {}

    def store(self, name: str) -> FeatureStore:
        """The store of a dataset."""
        if name not in self._stores:
            self._stores[name] = self._catalog.store(name)
        return self._stores[name]

    def train(self) -> tuple[View, FeatureStore]:
        """The training pages and queries with features; see `Catalog.train`."""
        return self._train, self.store(self._data.train.name)

    def evaluated(self, name: str) -> tuple[View, FeatureStore]:
        """The dev set or a test set; see `Catalog.evaluated`."""
        if name == DEV and self._data.dev is None:
            return self._split[1], self.store(self._data.train.name)
        store = self.store(name)
        if name not in self._views:
            dataset = self._dataset(self._entry(name))
            self._views[name] = whole_view(name, dataset, store.pages, store.queries)
        return self._views[name], store

    @cached_property
    def held_out(self) -> Positions:
        """The training pages that also answer dev; see `Catalog.pages_held_out`."""
        if self._data.dev is None:
            return np.empty(0, np.int64)
        view, dev = self.evaluated(DEV)
        answers = np.unique(view.positives.pages)
        pages = self.store(self._data.train.name).pages
        return np.flatnonzero(pages.shown_in(dev.pages, answers))

    def seen_in_training(self, name: str) -> list[str]:
        """The pages of a dataset that are training pages too; see `Catalog`."""
        train, store = self.train()
        view, other = self.evaluated(name)
        is_seen = other.pages.shown_in(store.pages, train.pages)
        return view.page_ids(np.flatnonzero(is_seen[view.pages])).to_pylist()

    def not_asked(self, name: str) -> dict[str, str]:
        """The judged queries that find nothing, each with the reason; see `Catalog.not_asked`."""
        view, _ = self.evaluated(name)
        judged = view.judgements.query_ids
        ids = judged.filter(pa.array(find(judged, view.query_ids) < 0)).to_pylist()
        bad = self._dataset(self._entry(name)).asked.bad
        return {query_id: bad.get(query_id, "no features") for query_id in ids}

    def check_pages_differ(self) -> None:
        """Make sure that training has pages to tell apart; see `Catalog.check_pages_differ`."""
        pictures = self.store(self._data.train.name).pages.pictures
        # Before a dev set is taken out of one image, which fails and is told less plainly.
        self._check_differ(pictures)
        self._check_differ(pictures[self._train.pages])

    def _check_differ(self, pictures: NDArray[np.int32]) -> None:
        if len(pictures) and (pictures == pictures[0]).all():
            raise DatasetError(
                f"{self._data.train.path}: all pages to train on ({len(pictures):,}) are one "
                "image, so that there is no wrong page to tell the right one from; give data.train "
                "others"
            )

    @cached_property
    def _train(self) -> View:
        if self._data.dev is None:
            return self._split[0]
        entry = self._data.train
        store = self.store(entry.name)
        dataset = self._dataset(entry)
        return view_without(entry.name, dataset, store.pages, self.held_out, store.queries)

    @cached_property
    def _split(self) -> tuple[View, View]:
        """The training view and the dev view of one dataset."""
        entry = self._data.train
        store, dataset = self.store(entry.name), self._dataset(entry)
        fraction, seed = self._data.dev_fraction, self._catalog.seed
        views = split_views(entry.name, dataset, store.pages, fraction, seed, store.queries)
        pa.default_memory_pool().release_unused()  # what it took to find the groups
        return views

    def _entry(self, name: str) -> DatasetConfig:
        """The dataset that an evaluated set is read from; dev may be a part of train."""
        named = {dataset.name: dataset for dataset in datasets(self._data)}
        return named.get(name, self._data.train)

    def _dataset(self, entry: DatasetConfig) -> CanonicalDataset:
        if entry.name not in self._datasets:
            self._datasets[entry.name] = self._catalog.dataset(entry)
        return self._datasets[entry.name]
