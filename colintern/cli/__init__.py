"""The command line.

What ends a command from outside is listened to first: importing the rest takes up to a second, in
which Ctrl-C would otherwise show a traceback.
"""

from typing import Any, NoReturn

from colintern.cli.stopping import StopSignals


def main() -> NoReturn:
    """Run the command line, and end with its exit code."""
    signals = StopSignals()
    signals.listen()
    from colintern.cli.program import run_command

    signals.has_started()
    run_command(signals)


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'colintern.cli' has no attribute '{name}'")
    from colintern.cli.program import app

    return app
