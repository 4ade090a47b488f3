"""Batches are the same in any process, and a page is decoded once for several tiles."""

import pytest

from pretraining.printed import batches
from pretraining.printed.batches import Batches
from tests.pretraining.printed.helpers import tokenizer, typed_page


@pytest.fixture
def made(tmp_path):
    pages, known = [typed_page(tmp_path)], tokenizer()

    def make() -> Batches:
        return Batches(
            [pages],  # pyright: ignore[reportArgumentType]
            [1.0],
            known,
            [1, 2],
            size=3,
            sizes=(13.0, 15.0),
            seed="x",
            spans_per_tile=2,
        )

    return make


def test_a_batch_does_not_depend_on_those_before(made):
    """A run that goes on with other tiles after a stop."""
    together, alone = made(), made()
    in_order = [together[number] for number in range(6)]
    for number in (5, 2, 0):
        assert alone[number].grey_NTT.equal(in_order[number].grey_NTT)
        assert alone[number].query_BQ.equal(in_order[number].query_BQ)
    assert not in_order[0].grey_NTT.equal(in_order[1].grey_NTT)


def test_a_page_is_cut_once_for_the_batches_that_share_it(made, monkeypatch):
    """Four times the decoding, of which three quarters are thrown away."""
    opened, does = [], batches.crops_of
    monkeypatch.setattr(
        batches, "crops_of", lambda page, *others: opened.append(page) or does(page, *others)
    )
    found = made()
    for number in range(batches._POOL):
        found[number]
    assert len(opened) == batches._POOL * 3 // batches._TILES_A_PAGE
