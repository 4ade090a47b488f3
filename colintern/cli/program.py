"""The command line: the only place where errors become a line and an exit code.

Each command imports what it runs: torch and Ray take seconds to import. `--help`, and the worker
processes of `ingest`, which import this package too, should not wait for them.
"""

import contextlib
import shlex
import sys
from typing import NoReturn

import typer

from colintern import log
from colintern.cli import data, looking, loop, serving, using
from colintern.cli.commands import Commands, options_of_all
from colintern.cli.stopping import INTERRUPTED, StopSignals
from colintern.errors import ColInternError, UserError, one_line

# Typer carries its own copy of click and does not export the base class of all usage errors.
_UsageError: type[typer.BadParameter] = typer.BadParameter.__base__  # pyright: ignore

app = typer.Typer(
    cls=Commands,
    callback=options_of_all,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (loop, data, looking, using, serving):
    app.add_typer(part.commands)


def run_command(signals: StopSignals) -> NoReturn:
    """Run the command that `sys.argv` gives; the only place where errors are caught and printed."""
    log.set_up()
    log.detail("run", "%s", shlex.join(["colintern", *sys.argv[1:]]))
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except _UsageError as error:
        # The script of a job is another program with the same commands.
        names = error.ctx.command_path.split()[1:] if error.ctx else []
        help_of = " ".join(["colintern", *names, "--help"])
        _leave(f"error: {error.format_message()} (see {help_of})", 2)
    except UserError as error:
        _leave(f"error: {one_line(error)}", error.exit_code)
    except ColInternError as error:
        _leave(f"failed: {one_line(error)}", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as error:  # Ray makes a 1 of the code when it is waited for meanwhile
        code = error.code
    except Exception:
        if signals.first is None:
            raise
        code = signals.code  # a library's error about an import, or a call, that was broken off
    if signals.first or code == INTERRUPTED:  # typer turns Ctrl-C into this return value
        _leave(signals.line, signals.code)
    sys.exit(code or 0)


def _leave(message: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):  # a terminal that is closed
        typer.echo(message, err=True)
    sys.exit(code)
