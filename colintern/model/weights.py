"""Checks that weights belong to a checkpoint's model, from the headers of the weight files.

transformers loads the weights that fit, leaves the others random, and only logs it. So its own
loading code, with its renaming and merging of experts, is run here on empty tensors: a weight that
is missing, unknown or of another shape is refused before work starts. No weight is read.
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
# Not part of the model that computes features: the language head, and buffers that older versions
# of transformers saved.
_IGNORED = re.compile(
    r"(model\.)?(language_model\.)?(model\.)?lm_head\..+|(.+\.)?(rotary_emb\.inv_freq|position_ids)"
)


def check_weights(files: Iterable[Path], model_config: Any, name: str) -> None:
    """Check that `files` hold exactly the weights of the model, in their shapes.

    Args:
        files: the files that transformers would load.
        model_config: the checkpoint's `InternVLConfig`.
        name: of the checkpoint, for error messages.

    Raises:
        BackboneError: the model cannot be built, or the weights are quantised or do not fit it.
    """
    tensors = {key: empty for file in files for key, empty in _empty_tensors(file, name).items()}
    with torch.device("meta"), quiet_transformers():
        try:
            model: Any = AutoModel.from_config(model_config, trust_remote_code=False)
        except (ImportError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise BackboneError(
                f"backbone.path={name}: no model can be built from its config.json "
                f"({one_line(error)})"
            ) from error
        renames: Any = get_model_conversion_mapping(model)  # its declared type is too narrow
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
    """Raise if transformers reported weights as missing, unknown or of another shape.

    Args:
        found: its loading report: for each kind of problem the names of the weights, or tuples
            that start with a name.
        name: of the checkpoint, for error messages.

    Raises:
        BackboneError: a weight other than the language head and buffers is reported.
    """
    for problem in ("missing_keys", "mismatched_keys", "unexpected_keys", "conversion_errors"):
        names = (key if isinstance(key, str) else key[0] for key in found.get(problem, ()))
        keys = sorted(key for key in names if not _IGNORED.fullmatch(key))
        if keys:
            raise BackboneError(
                f"backbone.path={name}: {problem.replace('_', ' ')}: {keys[0]}"
                f"{f' and {len(keys) - 1} more' if len(keys) > 1 else ''}; "
                "the weights do not belong to this model"
            )


def _empty_tensors(file: Path, name: str) -> dict[str, Tensor]:
    """All tensors of a file with their shapes, without their values (on the meta device)."""
    tensors = {}
    with safe_open(file, "pt") as content:
        for key in content.keys():  # noqa: SIM118 - not a dictionary
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
