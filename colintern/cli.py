"""The command line: the only place where errors become a line and an exit code.

Each command imports what it runs: torch and Ray take seconds to import. `--help`, and the worker
processes of `ingest`, which import this module too, should not wait for them.
"""

import os
import signal
import sys
import threading
from typing import Annotated, NoReturn

import typer

from colintern import log
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
