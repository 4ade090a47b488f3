"""The global batch is the truth: one step on 1, 2 or 4 workers is the same step (property 2)."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.config.schema import HeadsConfig, TrainingConfig
from colintern.data.columns import offsets_of
from colintern.data.views import Positives
from colintern.errors import NonFiniteError
from colintern.features.catalog import Catalog
from colintern.model.heads import init_heads
from colintern.training.batch import _allowed, build_batch, share_of
from colintern.training.examples import Example, TrainingSet
from colintern.training.finite import FiniteGuard
from colintern.training.step import train_step
from colintern.training.strategy import make_strategy
from colintern.training.worker import Worker
from tests.helpers import WIDTH, free_port, view_of


def _training_set(catalog: Catalog) -> TrainingSet:
    """Mined negatives for most queries: 0 to 3 of them, so that rows are ragged."""
    view, store = catalog.train()
    mined = {
        query_id: [f"p{(number * 7 + k) % 38 + 2:03d}" for k in range(number % 4)]
        for number, query_id in enumerate(view.query_ids.to_pylist())
    }
    return TrainingSet(view, store, mined.items())


def _one_step(catalog: Catalog, training: TrainingConfig, worker: Worker, layers: int = 1):
    training_set = _training_set(catalog)
    batch = next(training_set.batches(training.global_batch, 1, 2, seed="0"))
    config = HeadsConfig(dim=16, layer_mix=layers > 1)
    heads = init_heads(config, WIDTH, seed=1, num_layers=layers).to(worker.device)
    strategy = make_strategy(heads, training, worker)
    gradients = {}
    for name, parameter in heads.named_parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda p, name=name: gradients.__setitem__(name, None)
        )
    result = train_step(
        heads,
        _KeepGradients(strategy, heads, gradients),
        build_batch(training_set, batch, worker),
        1e-3,
        training,
        worker,
        FiniteGuard(worker),
    )
    return result.loss.item(), gradients


class _KeepGradients:
    """A strategy that keeps the gradients before they are cleared."""

    def __init__(self, strategy, heads, kept):
        self.embed, self.backward = strategy.embed, strategy.backward
        self._strategy, self._heads, self._kept = strategy, heads, kept

    def step(self, *arguments):
        for name, parameter in self._heads.named_parameters():
            self._kept[name] = parameter.grad.clone()
        self._strategy.step(*arguments)


def _save_step(rank, world_size, catalog, training, folder, layers=1, device="cpu"):
    loss, gradients = _one_step(catalog, training, Worker(rank, world_size, device), layers)
    found = loss, {name: gradient.cpu() for name, gradient in gradients.items()}
    torch.save(found, f"{folder}/rank-{rank}.pt")


def _gpu_worker(rank, port, catalog, training, folder):
    torch.cuda.set_device(rank)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("nccl", init_method=address, rank=rank, world_size=2)
    _save_step(rank, 2, catalog, training, folder, device=f"cuda:{rank}")
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("world_size", "loss", "layers"),
    [(2, "infonce", 1), (2, "pairwise", 2), (4, "infonce", 2), (4, "pairwise", 1)],
)
def test_workers_share_out_one_step(ranks, corpus, tmp_path, world_size, loss, layers):
    """Gradients lost in the gather or multiplied by the world size; pages cut to the shortest.

    With several layers: weights of them that each worker learns for itself.
    """
    # 13 rows: shares of unequal size. No clipping: it would hide a wrong scale.
    training = TrainingConfig(global_batch=13, loss=loss, max_grad_norm=1e9)
    _compare_one_step(ranks, corpus, tmp_path, training, world_size, layers)


@pytest.mark.parametrize(
    ("num_pairs", "world_size", "loss"), [(2, 3, "infonce"), (3, 4, "pairwise")]
)
def test_workers_without_a_pair_change_nothing(
    ranks, corpus, tmp_path, num_pairs, world_size, loss
):
    """A training set smaller than its group: no maximum of nothing, no collective left out."""
    training = TrainingConfig(global_batch=num_pairs, loss=loss, max_grad_norm=1e9)
    assert not share_of(num_pairs, Worker(0, world_size))
    _compare_one_step(ranks, corpus, tmp_path, training, world_size)


def _compare_one_step(ranks, corpus, tmp_path, training, world_size, layers=1):
    """One step of `world_size` workers has the loss and the gradients of one worker's."""
    expected_loss, expected = _one_step(corpus.catalog, training, Worker(), layers)
    ranks.run(_save_step, world_size, corpus.catalog, training, str(tmp_path), layers)
    assert ("layer_mix.weight" in expected) == (layers > 1)
    for rank in range(world_size):
        found_loss, found = torch.load(tmp_path / f"rank-{rank}.pt")
        assert found_loss == pytest.approx(expected_loss, rel=1e-6)
        for name, gradient in expected.items():
            assert gradient.abs().max() > 0
            difference = (found[name] - gradient).abs().max()
            assert difference <= 1e-5 * gradient.abs().max()


@pytest.mark.multi_gpu
def test_workers_on_gpus_share_out_one_step(corpus, tmp_path):
    """What gloo does and NCCL does not."""
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    training = TrainingConfig(global_batch=13, max_grad_norm=1e9)
    expected_loss, expected = _one_step(corpus.catalog, training, Worker())
    mp.spawn(_gpu_worker, (free_port(), corpus.catalog, training, str(tmp_path)), nprocs=2)
    for rank in range(2):
        found_loss, found = torch.load(tmp_path / f"rank-{rank}.pt")
        assert found_loss == pytest.approx(expected_loss, rel=1e-4)
        for name, gradient in expected.items():
            assert (found[name] - gradient).abs().max() <= 1e-3 * gradient.abs().max()


def test_shares_are_whole_and_fair():
    """A row that no worker takes, or that two take."""
    for size, workers in ((13, 4), (4, 4), (32, 3)):
        shares = [share_of(size, Worker(rank, workers)) for rank in range(workers)]
        assert [row for share in shares for row in share] == list(range(size))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_positives_and_copies_are_masked_in_the_batch(corpus):
    """A page that answers the query pushed away as its in-batch negative (property 3)."""
    training_set = _training_set(corpus.catalog)
    batch = next(training_set.batches(60, 1, 0, seed="0"))
    built = build_batch(training_set, batch, Worker())
    pages = training_set.store.pages
    for row, example in enumerate(batch.examples):
        for column, other in enumerate(batch.examples):
            same = pages.row(example.page).sha256 == pages.row(other.page).sha256
            assert built.mask_BD[row, column].item() == (not same)
    by_page = {example.page: row for row, example in enumerate(batch.examples)}
    assert not built.mask_BD[by_page[0], by_page[1]]  # one image, two ids


@settings(max_examples=50, deadline=None)
@given(
    images=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    answers=st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=8),
    asked=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12),
    rows=st.slices(12),
)
def test_the_mask_is_that_of_a_plain_loop(images, answers, asked, rows):
    """A column of an equal image missed by the look-up; a page without features looked up."""
    pictures = np.array(images, dtype=np.int32)
    there = [sorted(page for page in found if page < len(images)) for found in answers]
    positives = Positives(
        np.arange(len(answers)),
        offsets_of(np.array(list(map(len, there)))),
        np.array([page for found in there for page in found], dtype=np.int64),
    )
    columns = [Example(query % len(answers), page % len(images), ()) for query, page in asked]
    mask_BD = _allowed(positives, pictures, columns[rows], columns)
    assert mask_BD.shape == (len(columns[rows]), len(columns))
    for row, example in enumerate(columns[rows]):
        for column, other in enumerate(columns):
            answering = {images[page] for page in there[example.query]}
            assert mask_BD[row, column].item() == (images[other.page] not in answering)


def test_every_positive_of_an_equal_question_is_masked_in_the_batch(corpus):
    """A question's second page, or that of the same question elsewhere, as its negative."""
    view, store = corpus.catalog.train()
    queries = [
        replace(query, text="same") if n in (4, 5) else query for n, query in enumerate(view.judged)
    ]
    judgements = {**view.judgements, "q002": {"p002": 1, "p003": 1}}
    training_set = TrainingSet(view_of(store.pages.ids.to_pylist(), queries, judgements), store)
    batch = next(training_set.batches(61, 1, 0, seed="0"))
    mask_BD = build_batch(training_set, batch, Worker()).mask_BD
    rows = {(example.query, example.page): row for row, example in enumerate(batch.examples)}
    two, three, four, five = rows[2, 2], rows[2, 3], rows[4, 4], rows[5, 5]
    assert not mask_BD[two, three]
    assert not mask_BD[three, two]
    assert not mask_BD[four, five]
    assert not mask_BD[five, four]
    assert mask_BD[two, four]
    assert mask_BD[rows[3, 3], two]


@pytest.mark.gpu
def test_a_step_on_a_gpu_is_close_to_one_on_the_cpu(corpus):
    """A tensor that stays on another device, or a mask that is lost on the way."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    training = TrainingConfig(global_batch=16)
    losses = []
    for worker in (Worker(), Worker(device="cuda")):
        training_set = _training_set(corpus.catalog)
        batch = build_batch(training_set, next(training_set.batches(16, 1, 2, seed="0")), worker)
        heads = init_heads(HeadsConfig(dim=16), WIDTH, seed=1).to(worker.device)
        strategy = make_strategy(heads, training, worker)
        result = train_step(heads, strategy, batch, 1e-3, training, worker, FiniteGuard(worker))
        losses.append(result.loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def _steps(corpus, worker: Worker, guard: FiniteGuard, optimizer=None):
    """Heads, and a function that trains step n on a batch that is `broken` or not."""
    training = TrainingConfig(global_batch=8)
    training_set = _training_set(corpus.catalog)
    planned = next(training_set.batches(8, 1, 2, seed="0"))
    heads = init_heads(HeadsConfig(dim=16), WIDTH, seed=1).to(worker.device)
    strategy = make_strategy(heads, training, worker)
    if optimizer:
        strategy._optimizer = optimizer(heads.parameters())

    def step(number: int, *, broken: bool):
        batch = build_batch(training_set, replace(planned, step=number), worker)
        if broken:
            batch.page_TH[3, 0] = float("nan")
        return train_step(heads, strategy, batch, 1e-3, training, worker, guard)

    return heads, step


def _weights(heads):
    return {name: value.clone() for name, value in heads.state_dict().items()}


def _are_equal(weights, others) -> bool:
    return all(torch.equal(value, others[name]) for name, value in weights.items())


def test_a_loss_that_is_not_finite_leaves_the_heads_alone(corpus):
    """A NaN that is averaged into the heads before anybody looks."""
    heads, step = _steps(corpus, Worker(), FiniteGuard(Worker()))
    before = _weights(heads)
    with pytest.raises(NonFiniteError, match="step 1: loss nan"):
        step(1, broken=True)
    assert _are_equal(_weights(heads), before)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_no_step_updates_between_one_that_is_not_finite_and_the_next_look(corpus, device):
    """The host that looks at a GPU only now and then, and finds heads that are NaN."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    fused = partial(torch.optim.AdamW, fused=True)  # on a GPU the strategy's own
    worker = Worker(device=device)
    heads, step = _steps(corpus, worker, FiniteGuard(worker, look_steps=4), fused)
    untrained = _weights(heads)
    assert step(1, broken=False).updated
    before = _weights(heads)
    assert not _are_equal(before, untrained)
    assert not step(2, broken=True).updated
    assert not step(3, broken=False).updated
    # The fused kernels take no NaN for the largest: there the gradient alone tells.
    with pytest.raises(NonFiniteError, match=r"step 2: (loss nan|.* gradient norm nan)"):
        step(4, broken=False)
    assert _are_equal(_weights(heads), before)


def test_the_end_of_a_round_looks_once_more():
    """A last step that is not finite and falls between two looks."""
    guard = FiniteGuard(Worker(), look_steps=16)
    one, bad = torch.tensor(1.0), torch.tensor(float("inf"))
    assert guard.admit(one, one, 1)
    guard.look()
    assert not guard.admit(one, bad, 2)
    assert not guard.admit(bad, one, 3)
    with pytest.raises(NonFiniteError, match=r"step 2: loss 1\.0, gradient norm inf"):
        guard.look()
