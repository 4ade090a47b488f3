"""Commands that make datasets."""

import os
from typing import Annotated, Literal

import typer

from colintern.cli.commands import PREPARE
from colintern.cli.options import say

commands = typer.Typer()


@commands.command("init", rich_help_panel=PREPARE)
def init_config(
    sources: Annotated[
        list[str],
        typer.Option(
            "--source",
            metavar="SOURCE",
            help="A folder or file of PDFs and images, or a dataset; may be given several times.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out", metavar="FILE", help="YAML file to write; the run is called like it."
        ),
    ] = "mine.yaml",
    questions: Annotated[
        str | None,
        typer.Option(
            "--questions", help="CSV or JSONL file of questions: query, and file and page, or id."
        ),
    ] = None,
    split: Annotated[
        Literal["train", "dev", "test"] | None,
        typer.Option("--split", help="Train on this split of a dataset that has several."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", help="Use this configuration of a dataset that has several."),
    ] = None,
    gpu: Annotated[
        bool,
        typer.Option("--gpu", help="Write settings for a GPU, with a backbone for real pages."),
    ] = False,
) -> None:
    """Write a commented YAML file for your own pages, and say the commands that use it."""
    from colintern.ingestion.starting import start

    begun = start(sources, out, questions, split=split, configuration=config, use_gpu=gpu)
    say(begun.lines())


@commands.command("ingest", rich_help_panel=PREPARE)
def ingest_sources(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE", help="Read these PDFs, images, folders of them, or this dataset."
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="DATASET", help="Write the dataset to this folder.")
    ],
    queries: Annotated[
        str | None,
        typer.Option(
            "--queries",
            help="Read questions from this CSV or JSONL file: query, and file and page, or id.",
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
            help="Take pages as relevant from this score on, where scores are not whole numbers.",
        ),
    ] = None,
    dpi: Annotated[
        int,
        typer.Option(
            "--dpi", min=18, max=1_200, help="Draw the pages of PDFs with so many dots per inch."
        ),
    ] = 144,
    max_pixels: Annotated[
        int,
        typer.Option(
            "--max-pixels", min=10_000, help="Shrink pages that would have more pixels than this."
        ),
    ] = 20_000_000,
    num_processes: Annotated[
        int | None,
        typer.Option(
            "--processes", min=1, help="Work in so many processes; default: one per core."
        ),
    ] = None,
    max_bad_fraction: Annotated[
        float,
        typer.Option(
            "--max-bad-fraction",
            min=0.0,
            max=1.0,
            help="Fail if a larger share of the pages is bad; 1 never fails.",
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
    from colintern.ingestion.starting import next_steps

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
    report = ingest(sources, out, settings)
    say([*report.lines(), *next_steps(report, sources, out)])


@commands.command(rich_help_panel=PREPARE)
def download(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Model or dataset on the Hub, such as OpenGVLab/InternVL3-1B-hf; or vidore-v1, "
            "vidore-v2 or vidore-v3, for all datasets of that benchmark.",
        ),
    ],
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision",
            metavar="COMMIT",
            help="Whole commit hash; default: the one that ColIntern knows of that name, if any.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder to write to; default: the cache of the Hub."
        ),
    ] = None,
    is_dataset: Annotated[
        bool, typer.Option("--dataset", help="Take NAME, if it is not known, as that of a dataset.")
    ] = False,
) -> None:
    """Fetch a backbone or a dataset of the Hub at a fixed commit.

    Only files that are used are fetched: no pickled weights, no code. Run it again to continue.
    """
    from colintern.config.pinned import pinned

    wanted = pinned(name, revision, is_dataset=is_dataset)  # mistakes are told before the imports
    from colintern.data.download import download_lines

    say(download_lines(wanted, out))
