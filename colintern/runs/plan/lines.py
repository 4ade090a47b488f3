"""A plan as lines for the terminal."""

from collections.abc import Iterator

from colintern.runs.plan.make import Plan
from colintern.runs.plan.sizes import DatasetSizes

_NAME = 26
_STEPS = (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


def plan_lines(plan: Plan) -> Iterator[str]:
    """What a run takes, in tables; what is estimated from a sample says so."""
    yield from _dataset_lines(plan)
    yield ""
    yield from _store_lines(plan)
    yield ""
    yield from _stage_lines(plan)
    yield ""
    yield from _step_and_memory_lines(plan)
    yield ""
    yield from _assumption_lines(plan)
    for warning in plan.warnings:
        yield f"warning: {warning}"


def _dataset_lines(plan: Plan) -> Iterator[str]:
    yield (
        f"{'dataset':<{_NAME}}{'pages':>13}{'tokens/page':>13}{'most':>8}"
        f"{'queries':>11}{'tokens':>8}{'pairs':>12}"
    )
    for found in plan.datasets:
        yield (
            f"{found.name:<{_NAME}}{found.pages.items:>13,}{found.pages.mean_tokens:>13,.1f}"
            f"{found.pages.most_tokens:>8,}{found.queries.items:>11,}"
            f"{found.queries.mean_tokens:>8.1f}{found.num_pairs:>12,}"
        )
    for found in plan.datasets:
        yield from _notes(found)


def _notes(found: DatasetSizes) -> Iterator[str]:
    if found.is_sampled:
        yield f"{found.name}: pages are estimated from {found.num_looked_at:,} of them"
    if found.num_bad_pages:
        yield f"{found.name}: {found.num_bad_pages:,} pages more cannot be used"
    copies = found.pages.items - found.stored_pages.items
    if copies:
        yield f"{found.name}: {copies:,} pages are copies of others, and are encoded once"


def _store_lines(plan: Plan) -> Iterator[str]:
    yield f"{'features':<{_NAME}}{'on storage':>13}"
    for dtype, size in plan.stores.items():
        here = "   <- features.dtype" if dtype == plan.dtype else ""
        yield f"{dtype:<{_NAME}}{_scaled(size):>12}B{here}"
    if plan.whole_store != plan.stores["bfloat16"]:
        yield f"{'bfloat16, not reduced':<{_NAME}}{_scaled(plan.whole_store):>12}B"
    yield f"{'embeddings, in search':<{_NAME}}{_scaled(plan.embeddings):>12}B"


def _stage_lines(plan: Plan) -> Iterator[str]:
    machine = plan.machine
    kind = f"{machine.num_devices} x {machine.name}"
    yield f"{'stage':<{_NAME}}{'FLOP':>13}{'reads':>13}{'workers':>9}{kind:>14}"
    for stage in plan.stages:
        yield (
            f"{stage.name:<{_NAME}}{_scaled(stage.flops):>13}{_scaled(stage.read_bytes):>12}B"
            f"{stage.num_workers:>9}{duration(stage.seconds):>14}"
        )
    yield f"{'all, if every round is run':<{_NAME}}{duration(plan.hours * 3_600):>49}"
    if plan.compute_cost is not None:
        yield f"{'price of that time':<{_NAME}}{plan.compute_cost:>49,.2f}"
    if plan.storage_cost is not None:
        yield f"{'price of the store a month':<{_NAME}}{plan.storage_cost:>49,.2f}"


def _step_and_memory_lines(plan: Plan) -> Iterator[str]:
    step, needs = plan.step, plan.needs
    yield (
        f"a training step: {_scaled(step.flops)}FLOP; its features: {_scaled(step.read_bytes)}B, "
        f"read in {step.read_seconds:.2g} s, computed anew in {duration(step.recompute_seconds)}"
    )
    yield f"memory, beside about 1 GB of each process: driver {_scaled(needs.driver)}B"
    yield (
        f"training worker {_scaled(needs.training_worker)}B, and {_scaled(needs.training_step)}B "
        "of features a step"
    )
    yield (
        f"search worker {_scaled(needs.search_worker)}B, and {_scaled(needs.search_embeddings)}B "
        "of embeddings"
    )
    if needs.free_disk is not None:
        yield f"disk: {_scaled(needs.free_disk)}B free, the store takes {_scaled(needs.store)}B"


def _assumption_lines(plan: Plan) -> Iterator[str]:
    machine = plan.machine
    shares = machine.shares
    yield (
        f"assumed: {machine.name} with {machine.teraflops:g} TFLOP/s, of which encoding reaches "
        f"{shares.encoding:.0%}, training {shares.training:.0%}, search {shares.search:.0%}; "
        f"{machine.read_bytes_per_second / 1e9:g} GB/s of features from "
        f"{'the disk' if machine.is_disk else 'storage, for each worker'}; "
        f"{machine.cores_per_device} CPU cores beside each; starting processes is not counted"
    )


def _scaled(number: float) -> str:
    """A number with three digits and the letter of its thousands, such as `37.1 T`."""
    for letter, size in _STEPS:
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g} "


def duration(seconds: float) -> str:
    """Seconds for people: `90.0 s`, `45 min` or `9.2 h`."""
    if seconds < 120:
        return f"{seconds:,.1f} s"
    if seconds < 7_200:
        return f"{seconds / 60:,.0f} min"
    return f"{seconds / 3_600:,.1f} h"
