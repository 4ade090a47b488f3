"""What the modules of sentence-transformers cannot do: such runs are refused, in one line."""

from colintern.config.schema import Config
from colintern.errors import ExportError

_WHOLE_PAGES = "sentence-transformers keeps every token of a page"


def check_exportable(config: Config) -> None:
    """Make sure that plain modules can do what a run's embeddings are made by.

    Raises:
        ExportError: they cannot.
    """
    features, layer = config.features, config.backbone.layer
    if config.backbone.pad_to_grid:
        reason = "transformers stretches a page to fill its tiles"
        raise _refused("backbone.pad_to_grid", "true", reason, "false")
    if features.merge > 1:
        raise _refused("features.merge", features.merge, _WHOLE_PAGES, "1")
    if features.max_tokens_per_page is not None:
        limit = features.max_tokens_per_page
        raise _refused("features.max_tokens_per_page", limit, _WHOLE_PAGES, "null")
    if isinstance(layer, tuple):
        reason = "sentence-transformers takes one hidden state"
        raise _refused("backbone.layer", list(layer), reason, "one layer")
    if layer == "projector":
        reason = "sentence-transformers takes hidden states of the whole model"
        raise _refused("backbone.layer", layer, reason, "a number, such as 0")


def _refused(key: str, value: object, reason: str, remedy: str) -> ExportError:
    return ExportError(f"{key}={value}: cannot be exported, as {reason}; make a run with {remedy}")
