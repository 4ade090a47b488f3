"""The command line: the only place where errors become a line and an exit code.

Each command imports what it runs: torch and Ray take seconds to import. `--help`, and the worker
processes of `ingest`, which import this module too, should not wait for them.
"""

import json
import os
import signal
import sys
import threading
from typing import Annotated, NoReturn

import typer

from colintern import log, storage
from colintern.config.files import load_config
from colintern.config.schema import Config
from colintern.errors import ColInternError, UserError, one_line
from colintern.records.run_folder import RunFolder
from colintern.runs import status

INTERRUPTED = 130
TERMINATED = 128 + signal.SIGTERM
# Typer carries its own copy of click and does not export the base class of all usage errors.
_UsageError: type[typer.BadParameter] = typer.BadParameter.__base__  # pyright: ignore

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train models that find the right page image for a question (ColPali-style).",
)

ConfigOption = Annotated[
    str,
    typer.Option(
        "--config", help="YAML file with the settings of the run, such as those in configs/."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="A.B=C", help="Settings that replace those of the file, such as training.epochs=2."
    ),
]
RoundOption = Annotated[
    int | None,
    typer.Option("--round", help="Number of the round; default: the first that is not finished."),
]
Root = Annotated[
    str,
    typer.Argument(metavar="ROOT", help="A run.root, a features.root, or a folder above several."),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run: a path or URL.")]


@app.command()
def run(
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="YAML file with the settings of the run, such as those in configs/; with "
            "--continue-from it may be left out: then the settings are those of RUN.",
        ),
    ] = None,
    overrides: Overrides = None,
    continue_from: Annotated[
        str | None,
        typer.Option(
            "--continue-from",
            metavar="RUN",
            help="Start a new run (run.name=NEW) from the best heads of this one, with the "
            "datasets as they are now.",
        ),
    ] = None,
) -> None:
    """Run the whole loop, from encoding to the report; finished stages are skipped."""
    settings = _settings(config, overrides or [], continue_from)  # mistakes are told without a wait
    from colintern.runs import loop

    folder = loop.run(settings)
    for line in status.table_lines(folder.path):
        typer.echo(line)


@app.command()
def encode(config: ConfigOption, overrides: Overrides = None) -> None:
    """Compute the backbone's features of all datasets."""
    settings = load_config(config, overrides or [])
    from colintern.runs import loop

    loop.encode(settings)


@app.command()
def train(
    config: ConfigOption,
    overrides: Overrides = None,
    round_number: RoundOption = None,
) -> None:
    """Train the heads in one round."""
    settings = load_config(config, overrides or [])
    from colintern.runs import loop
    from colintern.runs.stages import Train

    loop.run_round(settings, Train, round_number)


@app.command()
def mine(
    config: ConfigOption, overrides: Overrides = None, round_number: RoundOption = None
) -> None:
    """Find the hard negatives that a round (2 or later) trains on."""
    settings = load_config(config, overrides or [])
    from colintern.runs import loop
    from colintern.runs.stages import Mine

    loop.run_round(settings, Mine, round_number)


@app.command()
def evaluate(
    config: ConfigOption, overrides: Overrides = None, round_number: RoundOption = None
) -> None:
    """Measure a round on the dev set and on all test sets."""
    settings = load_config(config, overrides or [])
    from colintern.runs import loop
    from colintern.runs.stages import Evaluate

    loop.run_round(settings, Evaluate, round_number)


@app.command("ingest")
def ingest_sources(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="PDFs, images, folders of them, or a dataset."),
    ],
    out: Annotated[str, typer.Option("--out", metavar="DATASET", help="Dataset folder to write.")],
    queries: Annotated[
        str | None,
        typer.Option(
            "--queries", help="CSV or JSONL file of questions: query, and file and page, or id."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Use this split of a dataset that has several.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", help="Use this configuration of a dataset that has several."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option("--language", help="Use only the queries in this language."),
    ] = None,
    relevant_from: Annotated[
        float | None,
        typer.Option(
            "--relevant-from",
            metavar="SCORE",
            help="Lowest score of a relevant page; for scores that are not whole numbers.",
        ),
    ] = None,
    dpi: Annotated[
        int,
        typer.Option(
            "--dpi", min=18, max=1_200, help="Resolution of drawn PDF pages, in dots per inch."
        ),
    ] = 144,
    max_pixels: Annotated[
        int,
        typer.Option("--max-pixels", min=10_000, help="Shrink pages that would have more pixels."),
    ] = 20_000_000,
    num_processes: Annotated[
        int | None,
        typer.Option(
            "--processes", min=1, help="Number of worker processes; default: one per core."
        ),
    ] = None,
    max_bad_fraction: Annotated[
        float,
        typer.Option(
            "--max-bad-fraction",
            min=0.0,
            max=1.0,
            help="Fail if a larger share of the pages is bad (1: never).",
        ),
    ] = 1.0,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Let go of pages and questions that the sources do not have any more."
        ),
    ] = False,
) -> None:
    """Make a dataset folder from PDFs and images, or add new ones to it.

    A dataset in another layout can be the source too.
    """
    from colintern.ingestion import IngestSettings, RenderSettings, ingest

    settings = IngestSettings(
        RenderSettings(dpi, max_pixels),
        queries,
        split,
        language,
        num_processes or os.cpu_count() or 1,
        max_bad_fraction,
        config,
        relevant_from,
        replace,
    )
    for line in ingest(sources, out, settings).lines():
        typer.echo(line)


@app.command("plan")
def plan_run(
    config: ConfigOption,
    overrides: Overrides = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            "--gpu",
            metavar="TYPE",
            help="A10G, L4, A100, H100, H200, B200 or cpu; default: H100 with cluster.use_gpu, "
            "else cpu.",
        ),
    ] = None,
    num_gpus: Annotated[
        int | None,
        typer.Option("--gpus", min=1, help="Number of them; default: cluster.encode_workers."),
    ] = None,
    teraflops: Annotated[
        float | None,
        typer.Option(
            "--teraflops", min=1e-6, help="Rate of one of them, instead of that of its type."
        ),
    ] = None,
    utilisation: Annotated[
        float | None,
        typer.Option(
            "--utilisation", min=1e-6, max=1.0, help="Share of that rate that encoding reaches."
        ),
    ] = None,
    read_rate: Annotated[
        float | None,
        typer.Option("--read-gb-per-second", min=1e-6, help="Features that are read from storage."),
    ] = None,
    price_per_gpu_hour: Annotated[
        float | None, typer.Option("--price-per-gpu-hour", min=0.0, help="In any currency.")
    ] = None,
    price_per_tb_month: Annotated[
        float | None, typer.Option("--price-per-tb-month", min=0.0, help="In the same currency.")
    ] = None,
    worker_memory: Annotated[
        float | None,
        typer.Option(
            "--worker-memory-gb", min=1e-6, help="What a worker may take; default: as this machine."
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option("--sample", min=1, help="Look at so many pages of a dataset with more."),
    ] = 10_000,
    pages: Annotated[
        int | None,
        typer.Option("--pages", min=1, help="As if train had so many pages like its own."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for programs; sizes in bytes.")
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
    for line in lines:
        typer.echo(line)


@app.command("status")
def show_status(run_path: Run) -> None:
    """Show which stages are done, running or missing."""
    for line in status.status_lines(run_path):
        typer.echo(line)


@app.command()
def report(run_path: Run) -> None:
    """Write RUN/report.html again."""
    from colintern.runs.stages.report import write_report

    folder = RunFolder(run_path)
    typer.echo(write_report(folder.read().config, folder))


@app.command()
def compare(
    run_path: Run,
    other_path: Annotated[
        str, typer.Argument(metavar="OTHER", help="Folder of the run to compare it with.")
    ],
) -> None:
    """Compare the last rounds of two runs; each difference comes with its interval."""
    from colintern.runs.compare import compare_lines

    for line in compare_lines(run_path, other_path):
        typer.echo(line)


@app.command()
def search(
    run_path: Run,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The question.")],
    depth: Annotated[int, typer.Option("-k", min=1, help="Number of pages to show.")] = 10,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Dataset of the run to search, or the folder of a new dataset; "
            "default: the first test set, or the training set if there is none.",
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            metavar="FOLDER",
            help="Write the images of the found pages to this folder.",
        ),
    ] = None,
) -> None:
    """Find the best pages for a query."""
    from colintern.retrieval.retriever import save_images, search_run

    hits = search_run(run_path, query, depth, dataset)
    typer.echo(f"{'rank':>4}  {'score':>7}  page")
    for hit in hits:
        document = f"   ({hit.doc_id})" if hit.doc_id else ""
        typer.echo(f"{hit.rank:>4}  {hit.score:>7.4f}  {hit.page_id}{document}")
    if save:
        for path in save_images(run_path, dataset, hits, save):
            typer.echo(path)


@app.command("ls")
def list_root(
    root: Root,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show the runs, feature stores and datasets in a folder, with results and sizes."""
    from colintern.runs.listing import listing, listing_lines

    document = listing(root)
    lines = [json.dumps(document, indent=2)] if as_json else listing_lines(document)
    for line in lines:
        typer.echo(line)


@app.command()
def clean(
    root: Root,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--runs",
            metavar="ROOT",
            help="Another folder with runs that use stores in ROOT; can be given several times.",
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
    for line in lines:
        typer.echo(line)


def _settings(config: str | None, overrides: list[str], continue_from: str | None) -> Config:
    if continue_from is not None:
        from colintern.runs.continuing import continued_config, say_where_it_starts

        settings = continued_config(continue_from, config, overrides)
        say_where_it_starts(settings)
        return settings
    if config is None:
        raise UserError("Missing option '--config' (see colintern run --help)")
    return load_config(config, overrides)


def main() -> NoReturn:
    """Run the command line; the only place where errors are caught and printed."""
    log.set_up()
    # A process started in the background would ignore Ctrl-C's signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    terminated = threading.Event()

    def terminate(*_: object) -> NoReturn:
        terminated.set()
        sys.exit(TERMINATED)

    signal.signal(signal.SIGTERM, terminate)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except _UsageError as error:
        _leave(f"error: {error.format_message()} (see colintern --help)", 2)
    except UserError as error:
        _leave(f"error: {one_line(error)}", error.exit_code)
    except ColInternError as error:
        _leave(f"failed: {one_line(error)}", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as error:  # Ray makes a 1 of the code when it is waited for meanwhile
        sys.exit(TERMINATED if terminated.is_set() else error.code)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this return value
        _leave("interrupted; run the same command again to continue", INTERRUPTED)
    sys.exit(code or 0)


def _leave(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
