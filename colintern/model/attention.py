"""Whether a language model really attends in the way that was asked for, and by which kernel.

`config.is_causal = False` is transformers' own switch: it changes the mask of every implementation
of attention, and the flag that SDPA and flash attention are called with. A language model that does
not look at it, one without attention or with masks of its own, would silently compute as before.
"""

from typing import Any

import torch
from torch import Tensor

from colintern.errors import BackboneError

_TOKENS = [0, 1, 2, 3, 4, 5, 6, 7]  # any that every vocabulary has
# Of the features' norm. A model that ignores the setting computes the same twice, up to what a GPU
# rounds otherwise; in small random models tokens that see later ones differ by more than 1e-2.
_LEAST_CHANGE = 1e-3


def kernels_of(model: Any) -> str:
    """What computes the attention of a model's parts, such as `sdpa`; each kernel once."""
    parts = (model.vision_tower, model.language_model)
    return ", ".join(sorted({part.config._attn_implementation or "eager" for part in parts}))


def check_bidirectional(model: Any, name: str) -> None:
    """Make sure that tokens see those after them.

    Args:
        model: an `InternVLModel` whose language model is to attend in both directions.
        name: of the checkpoint, for the message.

    Raises:
        BackboneError: their features are those of causal attention.
    """
    causal, both = (_beginning(model.language_model, is_causal) for is_causal in (True, False))
    if (causal - both).norm() <= _LEAST_CHANGE * causal.norm():
        kind = model.config.text_config.model_type
        raise BackboneError(
            f"backbone.attention=bidirectional: has no effect on {name}, whose language model "
            f"({kind}) ignores it; set backbone.attention=causal"
        )


def _beginning(language_model: Any, is_causal: bool) -> Tensor:
    """The features of all tokens but the last, which sees the others in any case.

    Leaves the language model in the attention that it is asked for: [tokens, H], float32.
    """
    language_model.config.is_causal = is_causal
    ids = torch.tensor([_TOKENS], device=language_model.device)
    with torch.inference_mode():
        outputs = language_model(input_ids=ids, use_cache=False)
    return outputs.last_hidden_state[0, :-1].float()
