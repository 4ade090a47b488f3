"""What commands share: options and arguments that several have, and how lines are printed."""

from collections.abc import Iterable
from typing import Annotated

import typer

ConfigOption = Annotated[
    str,
    typer.Option(
        "--config",
        help="Read the settings of the run from this YAML file, such as those in configs/.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="A.B=C", help="Replace settings of the file, such as training.epochs=2."
    ),
]
RoundOption = Annotated[
    int | None,
    typer.Option("--round", help="Do this round; default: the first that is not finished."),
]
HeadsRoundOption = Annotated[
    int | None,
    typer.Option("--round", min=0, help="Use the heads of this round; default: the best round."),
]
RootArgument = Annotated[
    str,
    typer.Argument(
        metavar="ROOT", help="Look into this run.root, features.root, or folder above several."
    ),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Take the run in this folder, a path or URL.")
]


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def say(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        typer.echo(line)
