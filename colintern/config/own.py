"""The settings for somebody's own pages as a commented file: what `colintern init` writes."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from colintern.config.files import as_written
from colintern.config.pinned import ADVISED
from colintern.config.schema import READER_PRINT
from colintern.config.suited import as_yaml, suited

_TEMPLATE = Path(__file__).with_name("own.yaml.template")
_WIDTH = 6  # of a setting that has a comment behind it
_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*", re.ASCII)


def own_settings(
    config: str, name: str, train: Mapping[str, str], made_by: Sequence[str], *, use_gpu: bool
) -> str:
    """The text of a configuration.

    Args:
        config: the path that it is to have.
        name: of the run.
        train: the dataset to train on: its `path`, and what of it is chosen.
        made_by: the commands that make the dataset; none if it is there.
        use_gpu: whether there is a GPU; then the backbone is one for real pages.
    """
    backbone = ADVISED if use_gpu else READER_PRINT
    chosen = {_short(key): as_yaml(value) for key, value in suited(backbone).items()}
    text = Template(_TEMPLATE.read_text()).substitute(
        {key: value.ljust(_WIDTH) for key, value in chosen.items()},
        commands="\n".join(f"#   {command}" for command in [*made_by, run_command(config)]),
        config=shlex.quote(config),
        name=name,
        run_name=_scalar(name),
        train=_dataset(train),
        download=f"colintern download {ADVISED}",
        when="" if use_gpu else ", once it is set",
        workers="" if use_gpu else "\n#   and with a GPU: use_gpu: true, encode_workers: 1",
        other=READER_PRINT if use_gpu else "InternVL3-1B",
        other_settings=_as_comment(suited(READER_PRINT if use_gpu else ADVISED)),
        # More pairs are more negatives; with a few hundred questions 128 would leave few steps.
        global_batch=as_yaml(64 if use_gpu else 32).ljust(_WIDTH),
        encode_workers=as_yaml(1 if use_gpu else 2).ljust(_WIDTH),
        use_gpu=as_yaml(use_gpu).ljust(_WIDTH),
    )
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def run_command(config: str) -> str:
    """The command that runs a configuration, to be pasted into a shell."""
    return shlex.join(["colintern", "run", "--config", config])


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _as_comment(settings: Mapping[str, Any]) -> str:
    """Settings as comment lines: those of the backbone as they are written, the others in one."""
    said = {key: f"{_short(key)}: {as_yaml(value)}" for key, value in settings.items()}
    backbone = [f"#     {line}" for key, line in said.items() if key.startswith("backbone.")]
    others = [line for key, line in said.items() if not key.startswith("backbone.")]
    return "\n".join([*backbone, f"#   and further below: {', '.join(others)}"])


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
