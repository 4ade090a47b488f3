"""Whether weights are those of a checkpoint's InternVL, told from the headers of their files.

Transformers loads whatever fits, leaves the rest random and says so in the log. Here its own way of
loading is gone through with empty tensors, renames and merges of experts included: what would be
missing, left over or of another shape is refused before work starts, and no weight is read.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import convert_and_load_state_dict_in_model
from transformers.modeling_utils import LoadStateDictConfig

from colintern.errors import BackboneError, one_line
from colintern.model.quiet import quiet_transformers

_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
# The language head, and what older versions saved of their buffers, are no part of the model that
# computes features.
_IGNORED = re.compile(
    r"(model\.)?(language_model\.)?(model\.)?lm_head\..+|(.+\.)?(rotary_emb\.inv_freq|position_ids)"
)


def check_weights(files: Iterable[Path], model_config: Any, name: str) -> None:
    """Make sure that every weight of the model is in `files`, in its shape, and nothing else.

    Args:
        files: those that transformers would load.
        model_config: the checkpoint's `InternVLConfig`.
        name: of the checkpoint, for messages.

    Raises:
        BackboneError: the model cannot be built, or the weights are quantised or not all its own.
    """
    tensors = {key: empty for file in files for key, empty in _empty_tensors(file, name).items()}
    with torch.device("meta"), quiet_transformers():
        try:
            model: Any = AutoModel.from_config(model_config, trust_remote_code=False)
        except (ImportError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise BackboneError(
                f"backbone.path={name}: config.json describes no model that can be built "
                f"({one_line(error)})"
            ) from error
        renames: Any = get_model_conversion_mapping(model)  # typed as a base class of its entries
        found, _ = convert_and_load_state_dict_in_model(
            model,
            tensors,
            LoadStateDictConfig(
                weight_mapping=renames,
                device_map={"": "meta"},
                ignore_mismatched_sizes=True,
            ),
        )
    refuse_misfits(found.to_dict() | {"conversion_errors": found.conversion_errors}, name)


def refuse_misfits(found: Mapping[str, Any], name: str) -> None:
    """Raise for what transformers found missing, left over or of another shape while loading.

    Args:
        found: its loading report: names, or tuples that begin with one, by kind of problem.
        name: of the checkpoint, for messages.

    Raises:
        BackboneError: there is anything but the language head and buffers.
    """
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys", "conversion_errors"):
        names = (key if isinstance(key, str) else key[0] for key in found.get(problem, ()))
        keys = sorted(key for key in names if not _IGNORED.fullmatch(key))
        if keys:
            raise BackboneError(
                f"backbone.path={name}: {problem.replace('_', ' ')}: {keys[0]}"
                f"{f' and {len(keys) - 1} more' if len(keys) > 1 else ''}; "
                "the weights are not those of this InternVL"
            )


def _empty_tensors(file: Path, name: str) -> dict[str, Tensor]:
    """Every tensor of a file in its shape, without its numbers (on the meta device)."""
    tensors = {}
    with safe_open(file, "pt") as content:
        for key in content.keys():  # noqa: SIM118 - it is no dictionary
            kept = content.get_slice(key)
            dtype = kept.get_dtype()
            if dtype not in _DTYPES and not _IGNORED.fullmatch(key):
                raise BackboneError(
                    f"backbone.path={name}: {file.name} holds {key} as {dtype}; quantised weights "
                    "are not supported: take the checkpoint in bfloat16"
                )
            tensors[key] = torch.empty(
                kept.get_shape(), dtype=_DTYPES.get(dtype, torch.float32), device="meta"
            )
    return tensors
