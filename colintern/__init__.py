"""ColIntern trains ColPali-style visual document retrievers on Ray.

What other programs may rely on:

    load_config(path, overrides=())        the settings of a run: a YAML file and `a.b=c` strings
    run(config)                            what `colintern run` does: all that is missing of a run
    ingest(sources, out, settings=None)    what `colintern ingest` does: PDFs, images to a dataset
    IngestSettings                         how to ingest
    Retriever.open(run)                    a finished run that answers: best pages, embeddings
    ColInternError                         the base class of every error that is raised on purpose
    __version__

All but the version are imported when they are first asked for: torch and Ray take seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colintern.config.files import load_config
    from colintern.errors import ColInternError
    from colintern.ingestion import IngestSettings, ingest
    from colintern.retrieval.retriever import Retriever
    from colintern.runs.loop import run

__version__ = "0.1.0"
__all__ = [
    "ColInternError",
    "IngestSettings",
    "Retriever",
    "__version__",
    "ingest",
    "load_config",
    "run",
]

# Public name to the module that has it.
_HOMES = {
    "ColInternError": "colintern.errors",
    "IngestSettings": "colintern.ingestion",
    "Retriever": "colintern.retrieval.retriever",
    "ingest": "colintern.ingestion",
    "load_config": "colintern.config.files",
    "run": "colintern.runs.loop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'colintern' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
