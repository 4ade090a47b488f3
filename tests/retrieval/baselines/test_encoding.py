"""A model's vectors: what search makes of them ranks as the model does."""

import pytest
import torch

pytest.importorskip("sentence_transformers")

from sentence_transformers import MultiVectorEncoder, SentenceTransformer

from colintern.retrieval.baselines.encoding import open_encoder
from colintern.retrieval.baselines.frame import BaselineError
from colintern.retrieval.baselines.model import find_model
from colintern.retrieval.baselines.vectors import best_pages, joined, save_vectors
from colintern.search import order
from tests.retrieval.baselines import tiny_models

PAGES = ["a cat, and a dog.", "dog", "the mat is flat", "zebra", "1, 2, 3", "a cat and a dog"]
QUERIES = ["cat?", "which dog is on the mat", "2"]


@pytest.mark.parametrize(
    ("make", "kind", "similarity"),
    [
        (tiny_models.single_vector, SentenceTransformer, "cosine"),
        (tiny_models.single_vector, SentenceTransformer, "dot"),
        (tiny_models.multi_vector, MultiVectorEncoder, "maxsim"),
        (tiny_models.multi_vector, MultiVectorEncoder, "meanmaxsim"),
    ],
)
def test_the_ranking_is_the_model_s_own(tmp_path, make, kind, similarity):
    """Prompts left out, vectors of the wrong side, lengths that count although cosine is meant."""
    path = make(tmp_path / "model", similarity)
    encoder = open_encoder(find_model(path), "cpu")
    model = kind(path, device="cpu", local_files_only=True)
    wanted_BD = model.similarity(model.encode_query(QUERIES), model.encode_document(PAGES)).cpu()
    save_vectors(str(tmp_path / "pages"), joined(range(len(PAGES)), encoder.texts(PAGES)))
    save_vectors(str(tmp_path / "queries"), joined(range(3), encoder.queries(QUERIES)))
    is_multi = kind is MultiVectorEncoder
    files = [[str(tmp_path / name)] for name in ("pages", "queries")]
    (found_BK,) = best_pages(*files, len(PAGES), is_multi)
    best = wanted_BD.sort(dim=1, descending=True)
    assert order.to_ordinals(found_BK).tolist() == best.indices.tolist()
    lengths = torch.tensor([len(one) for one in encoder.queries(QUERIES)])
    factor_B1 = lengths[:, None] if similarity == "maxsim" else 1  # ours is the mean over tokens
    assert torch.allclose(order.to_scores(found_BK) * factor_B1, best.values, atol=1e-5)


def test_vectors_do_not_depend_on_the_other_texts(models):
    """Padding that counts."""
    for name in ("single", "multi"):
        encoder = open_encoder(find_model(str(models / name)), "cpu")
        for text, found in zip(PAGES, encoder.texts(PAGES), strict=True):
            assert torch.allclose(encoder.texts([text])[0], found, atol=1e-6)


def test_another_similarity_is_refused(tmp_path):
    """A model that is ranked by what it was not trained for."""
    path = tiny_models.single_vector(tmp_path / "model", "euclidean")
    with pytest.raises(BaselineError, match="compares vectors by 'euclidean'"):
        open_encoder(find_model(path), "cpu")


def test_weights_of_another_shape_are_told_in_one_line(models, tmp_path):
    """A traceback of a hundred lines."""
    import shutil

    folder = shutil.copytree(models / "single", tmp_path / "model")
    file = folder / "config.json"
    file.write_text(file.read_text().replace('"hidden_size": 16', '"hidden_size": 32'))
    with pytest.raises(BaselineError, match="cannot be loaded") as raised:
        open_encoder(find_model(str(folder)), "cpu")
    assert "\n" not in str(raised.value)


def test_an_item_without_vectors_stands_in_no_file():
    """A page without tokens that scores 0, or moves the others by one."""
    some = joined([3, 1, 8], [torch.ones(2, 4), torch.ones(0, 4), torch.zeros(1, 4)])
    assert (some.ordinals.tolist(), some.lengths.tolist()) == ([3, 8], [2, 1])
    assert len(joined([1], [torch.ones(0, 4)])) == 0
