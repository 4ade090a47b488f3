"""Operations, bytes read and seconds of a run's stages, from the sizes of its datasets.

Multiply-adds count 2. Only matrix products are counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from colintern.config.schema import DEV, Config, HeadsConfig, TrainingConfig
from colintern.evaluation.evaluate import RERANKED
from colintern.features.codec import Codec
from colintern.mining.miner import CERTIFIED_QUERIES
from colintern.runs.plan.machine import Machine
from colintern.runs.plan.sizes import Amounts, DatasetSizes
from colintern.search.method import approximate_cost, is_exact_best


@dataclass(frozen=True)
class StageWork:
    """What a stage computes and reads.

    Attributes:
        name: of the stage, as `colintern status` calls it; all datasets are encoded in one.
        flops: of matrix products.
        read_bytes: of features.
        num_workers: that share it out.
        seconds: on the machine; of the work alone, without starting anything.
    """

    name: str
    flops: int
    read_bytes: int
    num_workers: int
    seconds: float


@dataclass(frozen=True)
class Searched:
    """A searched corpus and the queries that search it."""

    pages: Amounts
    queries: Amounts


@dataclass(frozen=True)
class StepWork:
    """What a training step with mined negatives needs, of all workers together.

    Attributes:
        flops: of heads and MaxSim, forwards and backwards.
        read_bytes: of features: queries, positives, negatives.
        recompute_flops: of the backbone, if features were not stored.
        read_seconds: on the machine.
        recompute_seconds: on the machine.
        tokens_per_worker: features of one worker's share.
    """

    flops: int
    read_bytes: int
    recompute_flops: int
    read_seconds: float
    recompute_seconds: float
    tokens_per_worker: int


class Work:
    """The stages of a run on a machine.

    Args:
        config: of the run.
        machine: where it runs.
        codec: how features are stored.
        sizes: of each dataset, by its name.
    """

    def __init__(
        self, config: Config, machine: Machine, codec: Codec, sizes: Mapping[str, DatasetSizes]
    ) -> None:
        self._config, self._machine, self._codec, self._sizes = config, machine, codec, sizes
        self._train = sizes[config.data.train.name]
        num_mixed = config.backbone.num_layers if config.heads.layer_mix else 1
        self._head_width = codec.width // num_mixed

    def stages(self) -> Iterator[StageWork]:
        """All stages that compute, if no round is stopped early, in their order."""
        yield self._encode()
        for number in range(self._config.loop.max_rounds + 1):
            if number > 1 and self._config.training.negatives_per_query:
                yield self._mine(number)
            if number:
                yield self._training(number)
            yield from self._evaluations(number)

    def step(self) -> StepWork:
        """The largest kind of step: with negatives, where the run has any."""
        training, machine = self._config.training, self._machine
        has_mined = self._config.loop.max_rounds > 1
        negatives = self._negatives(2 if has_mined else 1)
        pairs = self._batch(training)
        pages, queries = self._train.pages, self._train.queries
        num_pages = pairs * (1 + negatives)
        tokens = round(num_pages * pages.mean_tokens + pairs * queries.mean_tokens)
        read = self._stored(tokens)
        recompute = round(
            num_pages * pages.flops / max(1, pages.items)
            + pairs * queries.flops / max(1, queries.items)
        )
        workers = self._workers(training.num_workers)
        return StepWork(
            flops=self._step_flops(negatives),
            read_bytes=read,
            recompute_flops=recompute,
            read_seconds=self._read_seconds(read, workers),
            recompute_seconds=recompute / self._rate(machine.shares.encoding, workers),
            tokens_per_worker=tokens // workers,
        )

    @property
    def num_search_workers(self) -> int:
        """Workers that share a corpus in mining and evaluation."""
        return self._workers(self._config.cluster.mining_workers)

    # Stages

    def _encode(self) -> StageWork:
        machine = self._machine
        flops = sum(found.encode_flops for found in self._sizes.values())
        computing = flops / self._rate(machine.shares.encoding, machine.num_devices)
        tiles = sum(found.tile_bytes for found in self._sizes.values())
        cores = machine.num_devices * machine.cores_per_device
        tiling = tiles / (machine.tiling_bytes_per_second * cores)
        # On a GPU the cores cut pages while the model computes; else they are the same cores.
        seconds = max(computing, tiling) if machine.is_gpu else computing + tiling
        return StageWork("encode", flops, 0, machine.num_devices, seconds)

    def _training(self, number: int) -> StageWork:
        training, negatives = self._config.training, self._negatives(number)
        pairs = self._batch(training)
        epochs = training.epochs_of_round(number)
        steps = max(1, self._num_pairs() // training.global_batch) * epochs
        pages, queries = self._train.pages, self._train.queries
        tokens = pairs * ((1 + negatives) * pages.mean_tokens + queries.mean_tokens)
        read = self._stored(round(steps * tokens))
        flops, workers = steps * self._step_flops(negatives), self._workers(training.num_workers)
        share = self._machine.shares.training
        return self._stage(f"round-{number}-train", flops, read, workers, share)

    def _mine(self, number: int) -> StageWork:
        searched, mining = self._training_view(), self._config.mining
        candidates = max(mining.candidates, mining.range_max)
        is_exact = mining.search == "exact" or (
            mining.search == "auto" and is_exact_best(**self._costs(searched, candidates))
        )
        return self._search(f"round-{number}-mine", searched, None if is_exact else candidates)

    def _evaluations(self, number: int) -> Iterator[StageWork]:
        data = self._config.data
        yield self._search(f"round-{number}-evaluate-{DEV}", self._dev_view(), None)
        reranked = None if self._config.evaluation.search == "exact" else RERANKED
        for test in data.eval:
            found = self._sizes[test.name]
            searched = Searched(found.pages, _some(found.queries, found.num_judged_queries))
            yield self._search(f"round-{number}-evaluate-{test.name}", searched, reranked)

    # Parts

    def _search(self, name: str, searched: Searched, candidates: int | None) -> StageWork:
        """Embed a corpus and its queries, and search: exactly, or by so many candidates."""
        tokens = searched.pages.tokens + searched.queries.tokens
        dim = self._config.heads.dim
        products = searched.queries.tokens * searched.pages.tokens * dim
        if candidates is not None:
            products = min(products, approximate_cost(**self._costs(searched, candidates)))
        flops = round(tokens * _head_flops(self._config.heads, self._head_width) + 2 * products)
        share = self._machine.shares.search
        return self._stage(name, flops, self._stored(tokens), self.num_search_workers, share)

    def _costs(self, searched: Searched, candidates: int) -> dict[str, int]:
        return {
            "num_queries": searched.queries.items,
            "query_tokens": searched.queries.tokens,
            "num_pages": searched.pages.items,
            "page_tokens": searched.pages.tokens,
            "dim": self._config.heads.dim,
            "candidates": candidates,
            "certified_queries": CERTIFIED_QUERIES,
        }

    def _step_flops(self, negatives: int) -> int:
        """Heads and MaxSim of a step; items are padded to the longest of a batch."""
        pairs, heads = self._batch(self._config.training), self._config.heads
        pages, queries = self._train.pages, self._train.queries
        page_tokens = pairs * (1 + negatives) * pages.mean_tokens
        projected = page_tokens + pairs * queries.mean_tokens
        products = pairs * (pairs + negatives) * queries.most_tokens * pages.most_tokens
        # Backwards MaxSim is two products more; a projection is one, as features get no gradient.
        return round(
            projected * _head_flops(heads, self._head_width, with_backward=True)
            + 3 * 2 * products * heads.dim
        )

    def _negatives(self, round_number: int) -> int:
        """Mined negatives of a pair in a round; as many as asked for are taken to be found."""
        mined = min(self._config.training.negatives_per_query, self._config.mining.num_negatives)
        return mined if round_number > 1 else 0

    def _num_pairs(self) -> int:
        """Training examples: without those of a dev set that is taken out of them."""
        return round(self._train.num_pairs * self._train_share())

    def _batch(self, training: TrainingConfig) -> int:
        return max(1, min(training.global_batch, self._num_pairs()))

    def _train_share(self) -> float:
        return 1.0 if self._config.data.dev else 1 - self._config.data.dev_fraction

    def _training_view(self) -> Searched:
        share, train = self._train_share(), self._train
        asked = round(train.num_judged_queries * share)
        pages = _some(train.pages, round(train.pages.items * share))
        return Searched(pages, _some(train.queries, asked))

    def _dev_view(self) -> Searched:
        if self._config.data.dev is None:  # it searches all training pages
            asked = round(self._train.num_judged_queries * self._config.data.dev_fraction)
            return Searched(self._train.pages, _some(self._train.queries, asked))
        dev = self._sizes[self._config.data.dev.name]
        return Searched(dev.pages, _some(dev.queries, dev.num_judged_queries))

    # Rates

    def _stage(self, name: str, flops: int, read: int, workers: int, share: float) -> StageWork:
        seconds = flops / self._rate(share, workers) + self._read_seconds(read, workers)
        return StageWork(name, flops, read, workers, seconds)

    def _stored(self, num_tokens: int) -> int:
        return num_tokens * self._codec.bytes_per_token

    def _workers(self, configured: int) -> int:
        """Those that have a device; a stage with 0 works in the driver."""
        return min(max(1, configured), self._machine.num_devices)

    def _rate(self, share: float, workers: int) -> float:
        """Operations in a second."""
        return self._machine.teraflops * 1e12 * share * workers

    def _read_seconds(self, num_bytes: int, workers: int) -> float:
        readers = 1 if self._machine.is_disk else workers
        return num_bytes / (self._machine.read_bytes_per_second * readers)


def _some(amounts: Amounts, items: int) -> Amounts:
    """So many items like those."""
    share = items / max(1, amounts.items)
    return Amounts(
        items, round(amounts.tokens * share), amounts.most_tokens, round(amounts.flops * share)
    )


def _head_flops(heads: HeadsConfig, width: int, *, with_backward: bool = False) -> int:
    """Of a token's projection; features need no gradient, a hidden layer does."""
    last, hidden = width * heads.dim, width**2 if heads.kind == "mlp" else 0
    forward = 2 * (last + hidden)
    if not with_backward:
        return forward
    return 2 * forward + (2 * last if hidden else 0)
