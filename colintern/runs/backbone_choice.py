"""Tells before encoding that a backbone is no choice for real pages, and what one costs.

`reader` is for the demo, and `random` for tests. Over real pages a run with them ends as well as
any other, at the level of chance, after all the time that it takes.
"""

from collections.abc import Sequence

from colintern import log, storage
from colintern.config.pinned import ADVISED
from colintern.config.schema import (
    DEMO_VARIANTS,
    RANDOM,
    READER,
    Config,
    DatasetConfig,
    datasets,
)
from colintern.config.suited import remedy, suited
from colintern.data.canonical import DATASET_DONE
from colintern.data.resolve import FoundSource
from colintern.errors import one_line
from colintern.records.run_folder import RunFolder
from colintern.runs.stages import Encode

_WHY = {
    READER: "reads plain printed English only: over real pages its results are at chance level",
    RANDOM: "has random weights and cannot read: its results say nothing",
}
_ADVISED_GPU = "H100"  # that `colintern plan` takes too when none is named
_LOOKED_AT = 50  # pages and questions of a dataset that the estimate reads: some 50 ms


def say_built_in(config: Config, sources: Sequence[FoundSource]) -> None:
    """Warn of a built-in backbone if a dataset that is yet to be encoded is not the demo.

    Args:
        config: as it was read.
        sources: where each of its datasets is read from, in the order of `datasets`.
    """
    if config.backbone.path not in _WHY:
        return
    real = _to_encode(config, sources)
    if real:
        log.warn_once(
            "backbone",
            f"backbone.path={config.backbone.path} {_WHY[config.backbone.path]}; "
            f"{', '.join(real)} {'is' if len(real) == 1 else 'are'} not the demo; "
            f"for real pages: {remedy(config.backbone.path)}",
        )


def say_what_the_advised_takes(config: Config) -> None:
    """Say what the advised backbone would take over the same pages, where `say_built_in` warns.

    Args:
        config: with every dataset resolved to a canonical folder.
    """
    if config.backbone.path not in _WHY:
        return
    # Where they are read from is known by now; to find them again would warn of their choices.
    if not _to_encode(config, [FoundSource(dataset.path) for dataset in datasets(config.data)]):
        return
    try:
        told = _told_of_the_advised(config)
    except Exception as error:  # whatever is wrong with it, advice ends no run
        told = f"what it would take could not be reckoned ({one_line(error)})"
    log.say("backbone", "with %s: %s", ADVISED, told)


def say_idle_gpu(config: Config) -> None:
    """Say that a CUDA device of this machine is not used; imports torch."""
    if config.cluster.use_gpu:
        return
    import torch

    if torch.cuda.is_available():
        log.say(
            "cluster",
            "this machine has a CUDA device (%s) and cluster.use_gpu=false leaves it idle; "
            "set cluster.use_gpu=true",
            torch.cuda.get_device_name(0),
        )


def _to_encode(config: Config, sources: Sequence[FoundSource]) -> list[str]:
    """The names of datasets that are not the demo's, and not encoded yet."""
    folder = RunFolder(config.run_path)
    named = zip(datasets(config.data), sources, strict=True)
    return [
        dataset.name
        for dataset, source in named
        if not _is_demo(dataset, source) and folder.record(Encode(dataset.name).name) is None
    ]


def _is_demo(dataset: DatasetConfig, source: FoundSource) -> bool:
    """Whether these are the demo's pages, by name or by what the folder says of itself."""
    done = storage.join(source.folder, DATASET_DONE)
    if dataset.is_demo:
        return True
    if source.write is not None or not storage.exists(done):
        return False
    document = storage.read_json(done)
    return isinstance(document, dict) and document.get("variant") in DEMO_VARIANTS


def _told_of_the_advised(config: Config) -> str:
    """What the same run with the advised backbone takes; questions are cut as now."""
    from colintern.model.backbone import read_processor
    from colintern.model.published import internvl3_1b
    from colintern.runs.plan.lines import duration
    from colintern.runs.plan.machine import Prices, machine_of
    from colintern.runs.plan.make import Wanted, all_sizes, plan_with

    cluster, processor = config.cluster, read_processor(config.backbone)
    settings = suited(ADVISED)
    tiles = {name: settings[f"backbone.{name}"] for name in ("max_tiles", "pad_to_grid")}
    backbone = internvl3_1b(tiles["max_tiles"], len(processor.page_tokens(0)), tiles["pad_to_grid"])
    chosen = config.backbone.model_copy(update={"path": ADVISED, "layer": -1, **tiles})
    config = config.model_copy(update={"backbone": chosen})
    is_disk = storage.is_local(config.features_root)
    here, there = (
        Wanted(
            machine_of(name, count, cores_per_device=cluster.cpus_per_worker, is_disk=is_disk),
            Prices(),
            max_pages=_LOOKED_AT,
            max_queries=_LOOKED_AT,
        )
        for name, count in (("cpu", cluster.most_encode_workers), (_ADVISED_GPU, 1))
    )
    workers = here.machine.num_devices
    sizes = all_sizes(config, here, backbone, processor)
    told = []
    for wanted, where in (
        (here, f"{workers} CPU worker{'s' if workers > 1 else ''} as here"),
        (there, f"one {_ADVISED_GPU}"),
    ):
        plan = plan_with(config, wanted, backbone, sizes)
        encoding, everything = duration(plan.stages[0].seconds), duration(plan.hours * 3_600)
        told.append(f"{encoding} to encode and {everything} in all on {where}")
    return "; ".join([*told, f"{log.size_text(plan.stores[plan.dtype])} of features"])
