"""A plan, made from the settings: what is counted, what follows from it, and what it costs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from colintern.config.schema import Config, datasets
from colintern.features.codec import codec_of
from colintern.model.backbone import BackboneIdentity, read_identity, read_processor
from colintern.model.processor import Processor
from colintern.records.machine import own_memory
from colintern.runs.plan.census import take_census
from colintern.runs.plan.machine import Machine, Prices
from colintern.runs.plan.needs import Needs, needs_of, warnings_of
from colintern.runs.plan.sizes import DatasetSizes, embedding_bytes, sizes_of
from colintern.runs.plan.work import StageWork, StepWork, Work

_STORED_DTYPES = ("bfloat16", "float16", "int8")


@dataclass(frozen=True)
class Wanted:
    """What a plan is asked beside the settings.

    Attributes:
        machine: where the run would go.
        prices: what is paid.
        max_pages: a corpus of more rows is sampled.
        max_queries: the tokens of so many questions of a dataset are counted; of more, a sample.
        num_pages: pretend that train has so many pages, like those that it has.
        worker_memory: bytes that a worker may take; None for this machine's memory.
    """

    machine: Machine
    prices: Prices
    max_pages: int = 10_000
    max_queries: int = 10_000
    num_pages: int | None = None
    worker_memory: int | None = None


@dataclass(frozen=True)
class Plan:
    """What a run takes.

    Attributes:
        run: its name.
        backbone: as it is configured.
        width: numbers per stored token.
        datasets: train first.
        dtype: that features are stored in.
        stores: bytes of all features' tensors, by dtype, as the other settings of `features` are.
        whole_store: the same in bfloat16 with all tokens and numbers.
        embeddings: bytes of all token embeddings, as search holds them.
        stages: in their order, if no round is stopped early.
        step: a training step.
        needs: memory and disk.
        machine: where the run goes.
        prices: what is paid.
        warnings: what would fail or be better done otherwise.
    """

    run: str
    backbone: str
    width: int
    datasets: list[DatasetSizes]
    dtype: str
    stores: Mapping[str, int]
    whole_store: int
    embeddings: int
    stages: list[StageWork]
    step: StepWork
    needs: Needs
    machine: Machine
    prices: Prices
    warnings: list[str]

    @property
    def hours(self) -> float:
        """Of all stages, without starting machines."""
        return sum(stage.seconds for stage in self.stages) / 3_600

    @property
    def compute_cost(self) -> float | None:
        """Of all devices for that time."""
        price = self.prices.gpu_hour
        return None if price is None else price * self.hours * self.machine.num_devices

    @property
    def storage_cost(self) -> float | None:
        """Of the store for a month."""
        price = self.prices.terabyte_month
        return None if price is None else price * self.needs.store / 1e12

    def document(self) -> dict[str, Any]:
        """All of it for programs: the fields of the classes here, and what follows from them."""
        document = asdict(self)
        for found, dataset in zip(document["datasets"], self.datasets, strict=True):
            for key in ("pages", "stored_pages", "queries", "stored_queries"):
                found[key]["mean_tokens"] = getattr(dataset, key).mean_tokens
            found["encode_flops"] = dataset.encode_flops
        return {
            **document,
            "hours": self.hours,
            "compute_cost": self.compute_cost,
            "storage_cost_per_month": self.storage_cost,
        }


def make_plan(config: Config, wanted: Wanted) -> Plan:
    """Reckon what a run takes; nothing is run or written.

    Raises:
        UserError: a dataset or the backbone is missing or cannot be used.
    """
    backbone, processor = read_identity(config.backbone), read_processor(config.backbone)
    sizes = all_sizes(config, wanted, backbone, processor)
    return plan_with(config, wanted, backbone, sizes)


def plan_with(
    config: Config, wanted: Wanted, backbone: BackboneIdentity, sizes: list[DatasetSizes]
) -> Plan:
    """The plan of a run with a backbone whose sizes are known, whether its files are here or not.

    Args:
        config: of the run.
        wanted: what is asked beside it.
        backbone: how pages are cut, and what they cost.
        sizes: of `all_sizes` with that backbone; they are the same on all machines.
    """
    codec, machine = codec_of(config.features, backbone), wanted.machine
    work = Work(config, machine, codec, {found.name: found for found in sizes})
    stages, step = list(work.stages()), work.step()
    tokens = sum(found.stored_tokens for found in sizes)
    stores = {name: tokens * replace(codec, dtype=name).bytes_per_token for name in _STORED_DTYPES}
    encoded = sum(found.encoded_tokens + found.stored_queries.tokens for found in sizes)
    needs = needs_of(
        config,
        sizes,
        width=codec.width,
        store=stores[codec.dtype],
        num_search_workers=work.num_search_workers,
        num_step_tokens=step.tokens_per_worker,
    )
    worker_memory = wanted.worker_memory or own_memory()
    warnings = warnings_of(config, machine, sizes, stages, step, needs, worker_memory)
    return Plan(
        run=config.run.name,
        backbone=config.backbone.path,
        width=codec.width,
        datasets=sizes,
        dtype=codec.dtype,
        stores=stores,
        whole_store=encoded * 2 * backbone.width,
        embeddings=embedding_bytes(sum(found.pages.tokens for found in sizes), config.heads.dim),
        stages=stages,
        step=step,
        needs=needs,
        machine=machine,
        prices=wanted.prices,
        warnings=list(warnings),
    )


def all_sizes(
    config: Config, wanted: Wanted, backbone: BackboneIdentity, processor: Processor
) -> list[DatasetSizes]:
    """What all datasets take, train first.

    Args:
        config: of the run.
        wanted: how much is looked at; the machine does not matter.
        backbone: how pages are cut, and what they cost.
        processor: how questions are cut.

    Raises:
        UserError: a dataset is missing or cannot be used.
    """
    return [
        sizes_of(
            dataset.name,
            take_census(dataset, config, wanted.max_pages),
            backbone,
            codec_of(config.features, backbone),
            processor,
            seed=config.run.seed,
            max_queries=wanted.max_queries,
            num_pages=wanted.num_pages if dataset is config.data.train else None,
        )
        for dataset in datasets(config.data)
    ]
