"""The list of commands: grouped by what one wants, each with the options that all commands have."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import colintern
from colintern import log

PREPARE = "Prepare"
RUN = "Run"
LOOK = "Look"
USE = "Use"
TIDY_UP = "Tidy up"
PANELS = (PREPARE, RUN, LOOK, USE, TIDY_UP)  # every command stands in one of these, in this order

_EVERYWHERE = ("quiet", "verbose")


class Commands(TyperGroup):
    """All commands, in the order of their panels; `-q` and `-v` may stand behind a command too."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        places = {panel: place for place, panel in enumerate(PANELS)}
        found = sorted(self.commands.items(), key=lambda item: places[_panel_of(item[1])])
        self.commands = dict(found)
        shared = [option for option in self.params if option.name in _EVERYWHERE]
        for command in self.commands.values():
            command.params.extend(shared)


def _panel_of(command: Any) -> str:
    return command.rich_help_panel


def _say_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"colintern {colintern.__version__}")
        raise typer.Exit


def _be_quiet(is_asked: bool) -> None:
    if is_asked:
        log.set_up(log.QUIET)


def _be_verbose(is_asked: bool) -> None:
    if is_asked:
        log.set_up(log.VERBOSE)


def options_of_all(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_say_version,
            expose_value=False,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            callback=_be_quiet,
            expose_value=False,
            help="Show only results, warnings and errors.",
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            callback=_be_verbose,
            expose_value=False,
            help="Show more: the time of each stage, and what Ray says.",
        ),
    ] = False,
) -> None:
    """Train models that find the right page image for a question (ColPali-style)."""
