"""The settings for somebody's own pages as a commented file: what `colintern init` writes."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from string import Template

import yaml

from colintern.config.files import as_written
from colintern.config.pinned import ADVISED, known
from colintern.config.schema import READER_PRINT

_TEMPLATE = Path(__file__).with_name("own.yaml.template")
_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*", re.ASCII)


def own_settings(
    config: str, name: str, train: Mapping[str, str], made_by: str | None, *, use_gpu: bool
) -> str:
    """The text of a configuration.

    Args:
        config: the path that it is to have.
        name: of the run.
        train: the dataset to train on: its `path`, and what of it is chosen.
        made_by: the command that makes the dataset; None if it is there.
        use_gpu: whether there is a GPU; then the backbone is one for real pages.
    """
    return Template(_TEMPLATE.read_text()).substitute(
        made=f", after `{made_by}`" if made_by else "",
        run=run_command(config),
        config=shlex.quote(config),
        name=name,
        run_name=_scalar(name),
        train=_dataset(train),
        real_model=_real_model(is_set=use_gpu),
        backbone=ADVISED if use_gpu else READER_PRINT,
        revision=known()[ADVISED].revision if use_gpu else "null",
        max_tiles="6 " if use_gpu else "24",
        pad_to_grid="false" if use_gpu else "true ",
        shared="false" if use_gpu else "true ",
        dim="128" if use_gpu else "192",
        learning_rate="0.002" if use_gpu else "0.0005",
        relative_margin="0.05" if use_gpu else "0.0 ",
        # More pairs are more negatives; with a few hundred questions 128 would leave few steps.
        global_batch=64 if use_gpu else 32,
        use_gpu="true " if use_gpu else "false",
    )


def run_command(config: str) -> str:
    """The command that runs a configuration, to be pasted into a shell."""
    return shlex.join(["colintern", "run", "--config", config])


def _real_model(*, is_set: bool) -> str:
    """How the model for real pages is taken, as comment lines."""
    download = f"#   `colintern download {ADVISED}`"
    if is_set:
        return (
            f"{download} fetches it. It is set below; for `reader-print`:\n"
            "#     path: reader-print\n#     revision: null\n"
            "#     max_tiles: 24\n#     pad_to_grid: true\n"
            "#   and below: shared: true, dim: 192, learning_rate: 0.0005, relative_margin: 0.0."
        )
    return (
        f"{download}, then put these in place of those below:\n"
        f"#     path: {ADVISED}\n#     revision: {known()[ADVISED].revision}\n"
        "#     max_tiles: 6\n#     pad_to_grid: false\n"
        "#   and below: shared: false, dim: 128, learning_rate: 0.002, relative_margin: 0.05."
    )


def _dataset(chosen: Mapping[str, str]) -> str:
    """A dataset as YAML: its path alone, or a mapping."""
    if len(chosen) == 1:
        return _scalar(chosen["path"])
    return f"{{{', '.join(f'{key}: {_scalar(value)}' for key, value in chosen.items())}}}"


def _scalar(text: str) -> str:
    """A text as YAML: plain where it is read back as that text, else in quotes."""
    if _PLAIN.fullmatch(text) and as_written(text) == text:
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9).strip()
