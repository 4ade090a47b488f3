"""The command line. The one place where errors become a line and an exit code.

Commands import what they run themselves: torch and Ray take seconds, which neither `--help` nor
the processes of `ingest`, which import this module again, should wait for.
"""

import os
import signal
import sys
import threading
from typing import Annotated, NoReturn

import typer

from colintern import log
from colintern.config.files import load_config
from colintern.errors import ColInternError, UserError, one_line
from colintern.records.run_folder import RunFolder
from colintern.run import status

INTERRUPTED = 130
TERMINATED = 128 + signal.SIGTERM
# Typer carries its own copy of click and does not export the base class of all usage errors.
_UsageError: type[typer.BadParameter] = typer.BadParameter.__base__  # pyright: ignore

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train ColPali-style visual document retrievers: frozen InternVL, heads that learn.",
)

ConfigOption = Annotated[
    str,
    typer.Option(
        "--config", help="The settings of the run: a YAML file such as those in configs/."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="A.B=C", help="Settings in place of the file's, such as training.epochs=2."
    ),
]
RoundOption = Annotated[
    int | None,
    typer.Option(
        "--round", help="The number of the round; default: the first that is not recorded."
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run, a path or URL.")]


@app.command()
def run(config: ConfigOption, overrides: Overrides = None) -> None:
    """Run the whole loop, encode to report; stages that are recorded are skipped."""
    settings = load_config(config, overrides or [])  # a mistake in them is told without the wait
    from colintern.run import loop

    folder = loop.run(settings)
    for line in status.table_lines(folder.path):
        typer.echo(line)


@app.command()
def encode(config: ConfigOption, overrides: Overrides = None) -> None:
    """Compute the frozen features of every dataset."""
    settings = load_config(config, overrides or [])
    from colintern.run import loop

    loop.encode(settings)


@app.command()
def train(
    config: ConfigOption,
    overrides: Overrides = None,
    round_number: RoundOption = None,
) -> None:
    """Train the heads of one round."""
    settings = load_config(config, overrides or [])
    from colintern.run import loop
    from colintern.run.stages import Train

    loop.run_round(settings, Train, round_number)


@app.command()
def mine(
    config: ConfigOption, overrides: Overrides = None, round_number: RoundOption = None
) -> None:
    """Mine the hard negatives that a round (2 or later) trains on."""
    settings = load_config(config, overrides or [])
    from colintern.run import loop
    from colintern.run.stages import Mine

    loop.run_round(settings, Mine, round_number)


@app.command()
def evaluate(
    config: ConfigOption, overrides: Overrides = None, round_number: RoundOption = None
) -> None:
    """Measure a round on dev and on every test set."""
    settings = load_config(config, overrides or [])
    from colintern.run import loop
    from colintern.run.stages import Evaluate

    loop.run_round(settings, Evaluate, round_number)


@app.command("ingest")
def ingest_sources(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="PDFs, pictures, folders with them, or a dataset."),
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="DATASET", help="The dataset folder to make.")
    ],
    queries: Annotated[
        str | None,
        typer.Option(
            "--queries", help="A CSV or JSONL file of questions: query, and file and page, or id."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Take this split of a dataset that has several.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", help="Take this configuration of a dataset that has several."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option("--language", help="Take only the queries in this language from a dataset."),
    ] = None,
    relevant_from: Annotated[
        float | None,
        typer.Option(
            "--relevant-from",
            metavar="SCORE",
            help="Count a page as relevant from this score on; for scores that are no grades.",
        ),
    ] = None,
    dpi: Annotated[
        int,
        typer.Option(
            "--dpi", min=18, max=1_200, help="Draw PDF pages with this many dots an inch."
        ),
    ] = 144,
    max_pixels: Annotated[
        int,
        typer.Option(
            "--max-pixels", min=10_000, help="Make a page that would have more pixels smaller."
        ),
    ] = 20_000_000,
    num_processes: Annotated[
        int | None,
        typer.Option(
            "--processes", min=1, help="Work in this many processes; default: one a core."
        ),
    ] = None,
    max_bad_fraction: Annotated[
        float,
        typer.Option(
            "--max-bad-fraction",
            min=0.0,
            max=1.0,
            help="Fail when more than this share of the pages is refused (1: never).",
        ),
    ] = 1.0,
) -> None:
    """Make a dataset folder of PDFs and pictures, or of a dataset in another layout."""
    from colintern.ingest import IngestSettings, RenderSettings, ingest

    settings = IngestSettings(
        RenderSettings(dpi, max_pixels),
        queries,
        split,
        language,
        num_processes or os.cpu_count() or 1,
        max_bad_fraction,
        config,
        relevant_from,
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
    """Write RUN/report.html again from what the run has recorded."""
    from colintern.report.page import write_report

    RunFolder(run_path).read()
    typer.echo(write_report(run_path))


@app.command()
def compare(
    run_path: Run,
    other_path: Annotated[
        str, typer.Argument(metavar="OTHER", help="The folder of the run to compare it with.")
    ],
) -> None:
    """Compare the last rounds of two runs, with paired intervals of the difference."""
    from colintern.run.compare import compare_lines

    for line in compare_lines(run_path, other_path):
        typer.echo(line)


@app.command()
def search(
    run_path: Run,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.")],
    depth: Annotated[int, typer.Option("-k", min=1, help="Show this many pages.")] = 10,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Search this dataset of the run, or a folder that it has never seen; "
            "default: the first test set, or else the training set.",
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            metavar="FOLDER",
            help="Write the images of the pages that are found to this folder.",
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
        _leave("interrupted; the same command goes on from the last finished stage", INTERRUPTED)
    sys.exit(code or 0)


def _leave(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
