"""A copy that has other pixels, as a JPEG has, is told by its embedding when that is asked for."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from colintern.config.schema import MiningConfig
from colintern.data.entities import Query
from colintern.features.codec import StoredTokens
from colintern.mining.miner import Corpus
from colintern.scoring.queries import EmbeddedQueries
from colintern.search.likeness import likeness
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards
from tests.helpers import mined, view_of

DIM = 16


@dataclass(frozen=True)
class _Pages:
    """Pages whose features are their embeddings already."""

    tokens: dict[str, Tensor]

    @property
    def num_tokens(self) -> np.ndarray:
        return np.array([len(self.tokens[page_id]) for page_id in sorted(self.tokens)])

    def read(self, positions: np.ndarray) -> tuple[StoredTokens, list[int]]:
        ids = sorted(self.tokens)
        found = [self.tokens[ids[position]] for position in positions]
        return StoredTokens(torch.cat(found)), [len(tokens) for tokens in found]


class _AsTheyAre(torch.nn.Module):
    """Heads that change nothing."""

    dim = DIM

    def exact_pages(self, token_TH: Tensor) -> Tensor:
        return token_TH


def _tokens(seed: int, number: int) -> Tensor:
    noise = torch.randn(number, DIM, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(noise, dim=1)


def _shards(tokens: dict[str, Tensor], number: int = 1) -> LocalShards:
    everything, size = np.arange(len(tokens)), -(-len(tokens) // number)
    pages: Any = _Pages(tokens)
    heads: Any = _AsTheyAre()
    starts = range(0, len(tokens), size)
    return LocalShards(
        [CorpusShard(pages, heads, everything[start : start + size], start) for start in starts]
    )


def _nearly(tokens: Tensor, seed: int) -> Tensor:
    """The embedding of a copy: every token turned by about 0.1, a cosine of 0.995."""
    noise = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(tokens + 0.025 * noise, dim=1)


@pytest.fixture
def world():
    """Pages p00 to p19; j00 to j19 are their JPEG copies; a query for each page.

    Every fourth query has a second page, every fifth a second copy of its page.
    """
    tokens = {f"p{number:02d}": _tokens(number, 30 + 7 * number) for number in range(20)}
    copies = {f"j{page[1:]}": _nearly(own, int(page[1:])) for page, own in tokens.items()}
    again = {f"k{n:02d}": _nearly(tokens[f"p{n:02d}"], 100 + n) for n in range(0, 20, 5)}
    queries = [Query(f"q{number:02d}", f"question {number}") for number in range(20)]
    judgements = {
        query.query_id: {f"p{n:02d}": 1, **({f"p{(n + 1) % 20:02d}": 1} if n % 4 == 0 else {})}
        for n, query in enumerate(queries)
    }
    everything = {**tokens, **copies, **again}
    view = view_of(list(everything), queries, judgements)
    corpus = Corpus(view, np.arange(len(everything)), sum(map(len, everything.values())))
    asked = [_nearly(tokens[f"p{number:02d}"][:5], 200 + number) for number in range(20)]
    embedded = EmbeddedQueries(torch.cat(asked), (5,) * 20)
    return corpus, everything, embedded


def _mine(world, number: int = 1, **settings):
    corpus, tokens, queries = world
    rules = {"search": "exact", "range_max": 12, "num_negatives": 4, "relative_margin": 0.0}
    config = MiningConfig(**{**rules, **settings})
    return mined(corpus, _shards(tokens, number), queries, config)


def _copies_in(triples) -> list[str]:
    return [
        page
        for triple in triples
        for page in triple.negs
        if page[0] in "jk" and f"p{page[1:]}" in triple.pos
    ]


@pytest.mark.parametrize("sampling", ["top", "random"])
def test_a_jpeg_copy_of_the_answer_is_a_negative_until_told_otherwise(world, sampling):
    """The very page that answers the query, pushed away from it as its hardest negative."""
    settings = {"sampling": sampling, "num_negatives": 12}
    default, summary = _mine(world, **settings)
    assert len(_copies_in(default)) > 8
    assert "near_duplicate" not in summary["dropped"]  # as every earlier version has written it
    strict, counted = _mine(world, **settings, near_duplicate=0.98)
    assert _copies_in(strict) == []
    assert counted["dropped"]["near_duplicate"] == len(_copies_in(default))
    others = {rule: n for rule, n in counted["dropped"].items() if rule != "near_duplicate"}
    assert others == summary["dropped"]
    kept = [
        [page for page in triple.negs if page not in _copies_in([triple])] for triple in default
    ]
    assert [triple.negs for triple in strict] == kept


def test_the_next_page_comes_up_for_one_that_is_taken_out(world):
    """Queries left with fewer negatives although others are in range."""
    default, _ = _mine(world, range_max=20)
    strict, _ = _mine(world, range_max=20, near_duplicate=0.98)
    assert _copies_in(default)
    assert _copies_in(strict) == []
    full = [len(triple.negs) == 4 for triple in strict]
    assert full == [len(triple.negs) == 4 for triple in default]
    assert sum(full) > 12


@pytest.mark.parametrize("sampling", ["top", "random"])
def test_a_limit_that_nothing_reaches_changes_no_triple(world, sampling):
    """Sampling, or a margin, that comes out otherwise because pages were compared."""
    default, summary = _mine(world, sampling=sampling)
    unreached, counted = _mine(world, sampling=sampling, near_duplicate=1.0)
    assert unreached == default
    assert counted["dropped"] == {**summary["dropped"], "near_duplicate": 0}


@pytest.mark.parametrize("number", [2, 7, 44])
def test_sharded_equals_flat(world, monkeypatch, number):
    """A positive in another shard than its copy, which is then not compared (property 6)."""
    flat = _mine(world, near_duplicate=0.98)
    monkeypatch.setattr("colintern.search.likeness._TRAVELLING", 3)
    monkeypatch.setattr("colintern.search.shard._LIKENESS_BYTES", 5_000)
    assert _mine(world, number, near_duplicate=0.98) == flat
    ordinals = range(len(world[0].view.pages))
    pairs = [(page, other) for page in ordinals for other in (3, 17, 40, 5)] * 2
    one, many = (likeness(_shards(world[1], n), pairs) for n in (1, number))
    assert one == many


class _Elsewhere(LocalShards):
    """Shards in other processes, as far as what travels is concerned."""

    def __init__(self, shards: LocalShards) -> None:
        self._local, self.num_bytes = shards, 0

    def embeddings(self, *arguments: Any) -> Any:
        return self._sent(self._local.embeddings, arguments)

    def likeness(self, *arguments: Any) -> Any:
        return self._sent(self._local.likeness, arguments)

    def _sent(self, method: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        sent = pickle.dumps(arguments)
        answer = pickle.dumps(method(*pickle.loads(sent))())
        self.num_bytes += len(sent) + len(answer)
        return lambda: pickle.loads(answer)


def test_only_the_compared_pages_travel(world):
    """A page taken out of a shard as a view, which takes the whole shard along."""
    _, tokens, _ = world
    ordinals = range(len(tokens))
    shards = _Elsewhere(_shards(tokens, 2))
    pairs = [(page, 3) for page in ordinals]
    assert likeness(shards, pairs) == likeness(_shards(tokens), pairs)
    page_bytes = 4 * DIM * max(map(len, tokens.values()))
    assert shards.num_bytes < 2 * page_bytes + 10_000
    assert sum(map(len, tokens.values())) * 4 * DIM > 5 * shards.num_bytes


def _plain(page: Tensor, other: Tensor) -> float:
    return float((page @ other.T).amax(dim=1).double().mean())


def test_likeness_is_that_of_a_plain_product(world):
    """Tokens that fill up a block counted as the page's own, or pairs mixed up."""
    _, tokens, _ = world
    ids = sorted(tokens)
    pairs = [(page, other) for page in range(len(ids)) for other in (20, 41)]
    plain = [_plain(tokens[ids[page]], tokens[ids[other]]) for page, other in pairs]
    assert likeness(_shards(tokens, 3), pairs) == pytest.approx(plain, abs=1e-6)
    assert likeness(_shards(tokens, 3), []) == []


@given(part=st.integers(1, 40), rest=st.integers(1, 40), seed=st.integers(0, 9))
def test_a_page_counts_by_its_own_tokens(part, rest, seed):
    """A page that holds the answer and more is another page; a part of the answer is the same."""
    whole = _tokens(seed, part + rest)
    shards = _shards({"part": whole[:part], "whole": whole})
    of_part, of_whole = likeness(shards, [(0, 1), (1, 0)])
    assert of_part == pytest.approx(1.0, abs=1e-6)
    assert of_whole < 0.999
    assert of_whole == pytest.approx(_plain(whole, whole[:part]), abs=1e-6)
