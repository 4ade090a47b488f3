"""The sample of training tokens that a basis is fitted on, encoded by one worker."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from colintern.data.canonical import CanonicalDataset
from colintern.errors import DatasetError
from colintern.images.decode import BadImageError, decode
from colintern.model.backbone import FrozenBackbone
from colintern.model.basis import fit_basis, write_basis
from colintern.streams import packed

# At most 65,536 tokens of pages, and 1,024 queries of about 20: some times the width of a backbone
# in every direction. Many pages with some tokens each say more than few pages with all of theirs.
_MAX_PAGES = 128
_TOKENS_OF_A_PAGE = 512
_MAX_QUERIES = 1_024
_SEED = 0  # fixed, so that runs with other seeds share stores
_PAGES_AT_A_TIME = 32  # whose bytes are in memory


@dataclass(frozen=True)
class BasisTask:
    """A basis to be made; small, and can be sent to a worker.

    Attributes:
        dataset: the folder of the training set.
        dim: `features.pca_dim`.
        path: the file that is written.
    """

    dataset: str
    dim: int
    path: str


def make_basis(task: BasisTask, backbone: FrozenBackbone) -> None:
    """Encode the sample, page by page, fit a basis to it and write it.

    Raises:
        DatasetError: no page of the sample can be decoded.
    """
    dataset = CanonicalDataset(task.dataset)
    write_basis(task.path, fit_basis(_tokens(dataset, backbone), task.dim))


def _tokens(dataset: CanonicalDataset, backbone: FrozenBackbone) -> Iterator[Tensor]:
    """token_TH of the sample's pages, spread evenly over each, then of its queries."""
    num_pages = 0
    page_ids, queries = dataset.page_ids(), dataset.asked
    chosen = [page_ids[row].as_py() for row in _sample(len(page_ids), _MAX_PAGES)]
    for part in packed(chosen, lambda _: 1, _PAGES_AT_A_TIME):
        images = dataset.images(part)
        for page_id in part:
            try:
                picture = decode(images[page_id])
            except BadImageError:  # encoding lists it with its reason
                continue
            token_PH = backbone.encode_pages([picture])[0]
            num_pages += 1
            yield token_PH[:: -(-len(token_PH) // _TOKENS_OF_A_PAGE)]
    if not num_pages:
        raise DatasetError(
            f"{dataset.path}: none of {len(chosen)} sampled pages can be decoded, so that no basis "
            "can be fitted for features.pca_dim; correct the images, or set features.pca_dim=null"
        )
    texts = [queries.texts[row].as_py() for row in _sample(len(queries), _MAX_QUERIES)]
    yield from backbone.encode_queries(texts)


def _sample(size: int, limit: int) -> list[int]:
    """Up to `limit` of `size` rows, in order; the same ones always."""
    return sorted(random.Random(_SEED).sample(range(size), min(size, limit)))
