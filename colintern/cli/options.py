"""What commands share: options and arguments that several have, and how lines are printed."""

from collections.abc import Iterable
from typing import Annotated

import typer

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
HeadsRoundOption = Annotated[
    int | None,
    typer.Option("--round", min=0, help="Round whose heads are used; default: the best round."),
]
RootArgument = Annotated[
    str,
    typer.Argument(metavar="ROOT", help="A run.root, a features.root, or a folder above several."),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run: a path or URL.")]


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def say(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        typer.echo(line)
