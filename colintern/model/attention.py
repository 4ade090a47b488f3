"""Whether a language model really attends in the way that was asked for.

`config.is_causal = False` is transformers' own switch: it changes the mask of every implementation
of attention, and the flag that SDPA and flash attention are called with. A language model that does
not look at it, one without attention or with masks of its own, would silently compute as before.
"""

from typing import Any

import torch
from torch import Tensor

from colintern.errors import BackboneError

_SHARED = [0, 1, 2, 3]  # any tokens that every vocabulary has
_ENDINGS = ([4, 5, 6, 7], [7, 6, 5, 4])
# Of the features' norm. Experts round a token's product by what else is in it: 2e-7 as measured,
# where tokens that see the ending differ by 4e-3 in small random models.
_LEAST_CHANGE = 1e-3


def check_bidirectional(model: Any, name: str) -> None:
    """Make sure that tokens see those after them.

    Args:
        model: an `InternVLModel` whose language model is to attend in both directions.
        name: of the checkpoint, for the message.

    Raises:
        BackboneError: another ending leaves the features of the tokens before it as they are.
    """
    first, second = (_beginning(model.language_model, ending) for ending in _ENDINGS)
    if (first - second).norm() <= _LEAST_CHANGE * first.norm():
        kind = model.config.text_config.model_type
        raise BackboneError(
            f"backbone.attention=bidirectional: has no effect on {name}, whose language model "
            f"({kind}) ignores it; set backbone.attention=causal"
        )


def _beginning(language_model: Any, ending: list[int]) -> Tensor:
    """The features of the shared tokens before an ending, [tokens, H], float32."""
    ids = torch.tensor([[*_SHARED, *ending]], device=language_model.device)
    with torch.inference_mode():
        outputs = language_model(input_ids=ids, use_cache=False)
    return outputs.last_hidden_state[0, : len(_SHARED)].float()
