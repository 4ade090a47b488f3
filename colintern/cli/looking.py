"""Commands that show what a run will be, is, or was."""

import json
from typing import Annotated

import typer

from colintern import storage
from colintern.cli.commands import LOOK, PREPARE, TIDY_UP
from colintern.cli.options import AsJson, ConfigOption, Overrides, RootArgument, RunArgument, say
from colintern.config.files import load_config
from colintern.records.run_folder import RunFolder
from colintern.runs import status

commands = typer.Typer()


@commands.command("plan", rich_help_panel=PREPARE)
def plan_run(
    config: ConfigOption,
    overrides: Overrides = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            "--gpu",
            metavar="TYPE",
            help="Plan for this type: A10G, L4, A100, H100, H200, B200 or cpu; default: H100 with "
            "cluster.use_gpu, else cpu.",
        ),
    ] = None,
    num_gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus", min=1, help="Plan for so many of them; default: cluster.encode_workers."
        ),
    ] = None,
    teraflops: Annotated[
        float | None,
        typer.Option(
            "--teraflops",
            min=1e-6,
            help="Take this rate of one of them, in TFLOP/s, instead of that of its type.",
        ),
    ] = None,
    utilisation: Annotated[
        float | None,
        typer.Option(
            "--utilisation",
            min=1e-6,
            max=1.0,
            help="Take this share of that rate, up to 1, as what encoding reaches.",
        ),
    ] = None,
    read_rate: Annotated[
        float | None,
        typer.Option(
            "--read-gb-per-second", min=1e-6, help="Read features from storage at this rate."
        ),
    ] = None,
    price_per_gpu_hour: Annotated[
        float | None,
        typer.Option(
            "--price-per-gpu-hour",
            min=0.0,
            help="Show what the time of GPUs costs at this price, in any currency.",
        ),
    ] = None,
    price_per_tb_month: Annotated[
        float | None,
        typer.Option(
            "--price-per-tb-month",
            min=0.0,
            help="Show what the storage costs at this price, in the same currency.",
        ),
    ] = None,
    worker_memory: Annotated[
        float | None,
        typer.Option(
            "--worker-memory-gb",
            min=1e-6,
            help="Let a worker take so much memory; default: as this machine.",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option("--sample", min=1, help="Look at so many pages of a dataset that has more."),
    ] = 10_000,
    pages: Annotated[
        int | None,
        typer.Option(
            "--pages", min=1, help="Plan as if the training set had so many pages like its own."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs, with sizes in bytes.")
    ] = False,
) -> None:
    """Show what a run will take: sizes, memory, time and money, without running anything."""
    settings = load_config(config, overrides or [])
    from colintern.runs import preflight
    from colintern.runs.plan.machine import Prices, machine_of

    cluster = settings.cluster
    machine = machine_of(
        gpu or ("H100" if cluster.use_gpu else "cpu"),
        num_gpus or cluster.most_encode_workers,
        cores_per_device=cluster.cpus_per_worker,
        is_disk=storage.is_local(settings.features_root),
        teraflops=teraflops,
        utilisation=utilisation,
        read_bytes_per_second=read_rate * 1e9 if read_rate else None,
    )
    preflight.check_roots(settings)
    preflight.find_sources(settings)
    # Imported now: torch takes seconds, see `runs.runner`.
    from colintern.runs.plan.lines import plan_lines
    from colintern.runs.plan.make import Wanted, make_plan

    made = make_plan(
        settings,
        Wanted(
            machine,
            Prices(price_per_gpu_hour, price_per_tb_month),
            max_pages=sample,
            num_pages=pages,
            worker_memory=round(worker_memory * 1e9) if worker_memory else None,
        ),
    )
    lines = [json.dumps(made.document(), indent=2)] if as_json else plan_lines(made)
    say(lines)


@commands.command("status", rich_help_panel=LOOK)
def show_status(run_path: RunArgument, as_json: AsJson = False) -> None:
    """Show which stages are done, running or missing.

    With --json also the metrics of every round and baseline, the best round, and the report.
    """
    if as_json:
        say([json.dumps(status.status_document(run_path), indent=2)])
    else:
        say(status.status_lines(run_path))


@commands.command(rich_help_panel=LOOK)
def report(run_path: RunArgument) -> None:
    """Write RUN/report.html again.

    If a dataset is gone whose pages it shows, the report that is there stays, with exit code 2.
    """
    from colintern.runs.stages.report import write_report

    folder = RunFolder(run_path)
    typer.echo(write_report(folder.read().config, folder))


@commands.command("compare", rich_help_panel=LOOK)
def compare_runs(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Compare the runs in these folders; RUN@2 is round 2 of one, RUN@bm25 a "
            "baseline; default: its best round.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Compare the first run with the others, and with its own baselines, on the same queries.

    Each difference comes with its interval, and with what makes it unfair.
    """
    from colintern.runs.compare.lines import comparison_lines
    from colintern.runs.compare.make import compare

    found = compare(runs)
    lines = [json.dumps(found.document(), indent=2)] if as_json else comparison_lines(found)
    say(lines)


@commands.command("ls", rich_help_panel=LOOK)
def list_root(
    root: RootArgument,
    as_json: AsJson = False,
) -> None:
    """Show the runs, feature stores and datasets in a folder, with results and sizes."""
    from colintern.runs.listing import listing, listing_lines

    document = listing(root)
    lines = [json.dumps(document, indent=2)] if as_json else listing_lines(document)
    say(lines)


@commands.command(rich_help_panel=TIDY_UP)
def clean(
    root: RootArgument,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--runs",
            metavar="ROOT",
            help="Spare what runs in this folder use too; may be given several times.",
        ),
    ] = None,
    is_sure: Annotated[
        bool, typer.Option("--yes", help="Remove what is listed; without it nothing is removed.")
    ] = False,
) -> None:
    """List the features and half-written files that no run uses; remove them with --yes.

    Left are features written in the last day, and all of a dataset that a run has yet to encode.
    """
    from colintern.runs.cleaning import cleaning_lines, find_unused, remove_unused

    if is_sure:
        lines = cleaning_lines(*remove_unused(root, runs or []))
    else:
        lines = cleaning_lines(find_unused(root, runs or []))
    say(lines)
