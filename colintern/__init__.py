"""ColIntern trains ColPali-style visual document retrievers on Ray.

What other programs may rely on:

    load_config(path, overrides=())   the settings of a run, from a YAML file and `a.b=c` strings
    run_loop(config)                  what `colintern run` does: all that is missing of a run
    ingest_sources(sources, out, settings)
                                      what `colintern ingest` does: PDFs and pictures to a dataset
    __version__

The first three are imported when they are first asked for: torch and Ray take seconds. They are not
called `run` and `ingest`, which are packages of ColIntern.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colintern.config.files import load_config
    from colintern.ingest import ingest as ingest_sources
    from colintern.run.loop import run as run_loop

__version__ = "0.1.0"
__all__ = ["__version__", "ingest_sources", "load_config", "run_loop"]

# Public name to the module that has it, and what it is called there.
_HOMES = {
    "ingest_sources": ("colintern.ingest", "ingest"),
    "load_config": ("colintern.config.files", "load_config"),
    "run_loop": ("colintern.run.loop", "run"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'colintern' has no attribute '{name}'")
    module, function = _HOMES[name]
    return getattr(import_module(module), function)


def __dir__() -> list[str]:
    return sorted(__all__)
