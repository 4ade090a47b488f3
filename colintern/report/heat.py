"""Heat maps: the regions of a page that each word of a query matched, from stored features alone.

The backbone is not needed: heads are applied to the features in the store, as a search does, and
the tokenizer tells which tokens each word is. Shapes: Q query tokens, W words, P page tokens,
E embedding width.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colintern.config.schema import Config, dataset_of
from colintern.errors import ColInternError
from colintern.features.store import FeatureStore, Items, manifests_of
from colintern.model.boxes import is_on_page, token_boxes
from colintern.model.heads import Heads, load_heads
from colintern.records.run_folder import RunFolder
from colintern.report.stores import stores_of
from colintern.scoring.packed import token_scores

if TYPE_CHECKING:
    from colintern.model.processor import Processor

MOST_WORDS = 40  # of one query: each has a drawing in each of its pages
Word = tuple[str, tuple[int, ...]]  # and the positions of its tokens


@dataclass(frozen=True)
class Heat:
    """How the words of a query match the regions of one page.

    Attributes:
        x: where columns of regions begin and end, as shares of the page's width.
        y: likewise rows, of its height.
        words: for each word one byte a region, row by row, in base64: 0 where it is not lit.
        scores: for each word the similarity with its best region, at most 1.
    """

    x: list[float]
    y: list[float]
    words: list[str]
    scores: list[float]

    def document(self) -> dict[str, object]:
        """As it is written into the page."""
        return {"x": self.x, "y": self.y, "words": self.words, "scores": self.scores}


@dataclass(frozen=True)
class HeatMaps:
    """Makes heat maps of a dataset by the heads of one round; made by `open_heat_maps`."""

    heads: Heads
    queries: Items
    pages: Items
    processor: Processor
    merge: int

    def words(self, query_id: str, text: str) -> list[Word]:
        """The first words of a query; none when its tokens are not those in the store."""
        num_tokens = len(self.processor.query_tokens(text))
        position = int(self.queries.find([query_id])[0])
        if position < 0 or self.queries.row(position).num_tokens != num_tokens:
            return []
        found = self.processor.query_words(text)
        return list(zip(text.split(), found, strict=True))[:MOST_WORDS] if found else []

    def heat(self, query_id: str, words: Sequence[Word], page_id: str) -> Heat | None:
        """The map of one page; None where it is not known where its tokens lie."""
        position = int(self.pages.find([page_id])[0])
        if position < 0 or not words:
            return None
        layout = self.pages.layout(position)
        planner = self.processor.tiles
        tiling = layout.size, layout.tiles, planner.token_grid, self.merge, planner.padded_tile
        box_P4, is_thumbnail_P = token_boxes(*tiling)
        stored, _ = self.pages.read([position])
        if len(stored) != len(box_P4):  # tokens of clusters lie anywhere
            return None
        page_PE = self.heads.exact_pages(stored.decoded())
        is_shown_P = ~is_thumbnail_P & is_on_page(box_P4)
        score_QP = token_scores(self._query(query_id), page_PE)[:, torch.from_numpy(is_shown_P)]
        score_WP = np.stack([score_QP[list(own)].mean(dim=0).numpy() for _, own in words])
        return _heat(score_WP, box_P4[is_shown_P], layout.size)

    def _query(self, query_id: str) -> Tensor:
        stored, _ = self.queries.read(self.queries.find([query_id]))
        return self.heads.exact_queries(stored.decoded())


def open_heat_maps(
    folder: RunFolder, config: Config, round_number: int, dataset: str
) -> HeatMaps | str:
    """Open what heat maps are made from, or say in a sentence why there are none.

    Args:
        folder: of the run.
        config: its settings.
        round_number: whose heads.
        dataset: the name of an evaluated set; dev may be a part of train.
    """
    if config.features.max_tokens_per_page is not None:
        return (
            "Heat maps are left out: with features.max_tokens_per_page it is not stored which "
            "regions a token stands for."
        )
    from colintern.model.backbone import read_processor  # brings transformers

    name = dataset_of(config.data, dataset).name
    try:
        heads, _ = load_heads(folder.heads(round_number))
        store = _store(folder, name, stores_of(folder, config, round_number)[name])
        processor = read_processor(config.backbone)
    except (ColInternError, KeyError):
        return "Heat maps are left out: the features, the heads or the tokenizer are gone."
    return HeatMaps(
        heads,
        store.queries,
        store.pages,
        processor,
        config.features.merge,
    )


def _store(folder: RunFolder, name: str, path: str) -> FeatureStore:
    """The features of a dataset that the run has recorded."""
    record = folder.record(f"encode-{name}")
    manifests = manifests_of(record) if record else {}
    hashes = {part: output.sha256 for part, output in manifests.items() if output.sha256}
    return FeatureStore(path, hashes)


def _heat(
    score_WP: NDArray[np.float32], box_P4: NDArray[np.float32], size: tuple[int, int]
) -> Heat:
    """Bytes for each word, on one scale for all of them: a word that matches nothing stays dark.

    Nothing up to the median of all similarities is lit. The square keeps what is near it dim.
    """
    x, column_P = _edges(box_P4[:, 0], box_P4[:, 2])
    y, row_P = _edges(box_P4[:, 1], box_P4[:, 3])
    low, high = float(np.median(score_WP)), float(score_WP.max())
    share_WP = np.clip((score_WP - low) / max(high - low, 1e-9), 0, 1) ** 2
    grid_WYX = np.zeros((len(score_WP), len(y) - 1, len(x) - 1), np.uint8)
    grid_WYX[:, row_P, column_P] = np.rint(share_WP * 255)
    return Heat(
        x=[round(float(edge) / size[0], 4) for edge in x],
        y=[round(float(edge) / size[1], 4) for edge in y],
        words=[base64.b64encode(grid.tobytes()).decode() for grid in grid_WYX],
        scores=[round(float(best), 3) for best in score_WP.max(axis=1)],
    )


def _edges(
    start_P: NDArray[np.float32], end_P: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Where regions begin on a side of a page, and its end; and of each token which one it is."""
    starts, index_P = np.unique(start_P, return_inverse=True)
    return np.append(starts, end_P.max()), index_P
