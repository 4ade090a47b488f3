"""Commands that make a run, or a stage of it."""

import shlex
from typing import Annotated

import typer

from colintern import log
from colintern.cli.commands import RUN
from colintern.cli.options import ConfigOption, Overrides, RoundOption, say
from colintern.config.files import load_config
from colintern.config.schema import Config
from colintern.errors import UserError
from colintern.records.run_folder import RunFolder
from colintern.runs import status

commands = typer.Typer()


@commands.command(rich_help_panel=RUN)
def run(
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="Read the settings of the run from this YAML file; without it, --continue-from "
            "takes those of RUN.",
        ),
    ] = None,
    overrides: Overrides = None,
    continue_from: Annotated[
        str | None,
        typer.Option(
            "--continue-from",
            metavar="RUN",
            help="Start a new run, run.name=NEW, from the best heads of this one, with the "
            "datasets as they are now.",
        ),
    ] = None,
) -> None:
    """Run the whole loop, from encoding to the report; finished stages are skipped."""
    settings = _settings(config, overrides or [], continue_from)  # mistakes are told without a wait
    from colintern.runs import unchanged

    if unchanged.is_unchanged(settings):
        log.say("run", "all stages are done; nothing to do")
    else:
        from colintern.runs import loop

        before = unchanged.dataset_states(settings)
        loop.run(settings)
        unchanged.note_complete(settings, before)
    folder = RunFolder(settings.run_path)
    say([*status.table_lines(folder.path), f"report: {folder.report}"])


@commands.command(rich_help_panel=RUN)
def encode(config: ConfigOption, overrides: Overrides = None) -> None:
    """Compute the backbone's features of all datasets."""
    settings = load_config(config, overrides or [])
    from colintern.runs import loop

    loop.encode(settings)


@commands.command(rich_help_panel=RUN)
def train(
    config: ConfigOption,
    overrides: Overrides = None,
    round_number: RoundOption = None,
) -> None:
    """Train the heads in one round."""
    settings = load_config(config, overrides or [])
    from colintern.runs import loop
    from colintern.runs.stages import Train

    loop.run_round(settings, Train, round_number, given=_given(config, overrides))


@commands.command(rich_help_panel=RUN)
def mine(
    config: ConfigOption, overrides: Overrides = None, round_number: RoundOption = None
) -> None:
    """Find the hard negatives that a round (2 or later) trains on."""
    settings = load_config(config, overrides or [])
    from colintern.runs import loop
    from colintern.runs.stages import Mine

    loop.run_round(settings, Mine, round_number, given=_given(config, overrides))


@commands.command(rich_help_panel=RUN)
def evaluate(
    config: ConfigOption,
    overrides: Overrides = None,
    round_number: RoundOption = None,
    mteb: Annotated[
        str | None,
        typer.Option(
            "--mteb",
            metavar="DIR",
            help="Write the results on the test sets, of the round or else the best one, to this "
            "folder as mteb writes its own.",
        ),
    ] = None,
) -> None:
    """Measure a round on the dev set and on all test sets."""
    settings = load_config(config, overrides or [])
    if mteb is not None and not settings.data.eval:
        raise UserError("--mteb: there is no test set; name some in data.eval")
    from colintern.runs import loop
    from colintern.runs.stages import Evaluate

    loop.run_round(settings, Evaluate, round_number, given=_given(config, overrides))
    if mteb is not None:
        from colintern.retrieval.task_results import write_task_results

        say(write_task_results(settings.run_path, mteb, round_number))


def _given(config: str, overrides: list[str] | None) -> str:
    """The words that give another command the same settings."""
    return shlex.join(["--config", config, *(overrides or [])])


def _settings(config: str | None, overrides: list[str], continue_from: str | None) -> Config:
    if continue_from is not None:
        from colintern.runs.continuing import continued_config, say_where_it_starts

        settings = continued_config(continue_from, config, overrides)
        say_where_it_starts(settings)
        return settings
    if config is None:
        raise UserError("Missing option '--config' (see colintern run --help)")
    return load_config(config, overrides)
