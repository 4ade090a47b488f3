"""Commands that make datasets."""

import os
from typing import Annotated

import typer

from colintern.cli.commands import PREPARE
from colintern.cli.options import say

commands = typer.Typer()


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
    say(ingest(sources, out, settings).lines())
