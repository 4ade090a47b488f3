"""The settings for somebody's own pages as a commented file: what `colintern init` writes."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from string import Template

import yaml

from colintern.config.files import as_written
from colintern.config.schema import READER

INTERNVL = "OpenGVLab/InternVL3-1B-hf"
_INTERNVL_REVISION = "014c0583a0d4bedf29fbe2dbff4f865eb998e171"
_TEMPLATE = Path(__file__).with_name("own.yaml.template")
_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*", re.ASCII)


def own_settings(
    config: str, name: str, train: str, commands: Sequence[str], *, use_gpu: bool
) -> str:
    """The text of a configuration.

    Args:
        config: the path that it is to have.
        name: of the run.
        train: the dataset to train on.
        commands: that lead from the sources to the run; a line each.
        use_gpu: whether there is a GPU; then the backbone is one for real pages.
    """
    template = Template(_TEMPLATE.read_text())
    return template.substitute(
        commands="\n".join(f"#   {command}" for command in commands),
        config_quoted=shlex.quote(config),
        name=name,
        run_name=_scalar(name),
        train=_scalar(train),
        backbone=_backbone(use_gpu=use_gpu),
        # More pairs are more negatives; with a few hundred questions 128 would leave few steps.
        global_batch=64 if use_gpu else 32,
        use_gpu="true " if use_gpu else "false",
    )


def _backbone(*, use_gpu: bool) -> str:
    """The keys of the backbone that is taken, and those of the other as a comment."""
    reader = [f"path: {READER}", "revision: null"]
    internvl = [f"path: {INTERNVL}", f"revision: {_INTERNVL_REVISION}"]
    taken, other = (internvl, reader) if use_gpu else (reader, internvl)
    lines = [*taken, "# the other choice:", *(f"# {line}" for line in other)]
    return "\n".join(f"  {line}" for line in lines)


def _scalar(text: str) -> str:
    """A text as YAML: plain where it is read back as that text, else in quotes."""
    if _PLAIN.fullmatch(text) and as_written(text) == text:
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9).strip()
