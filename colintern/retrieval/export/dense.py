"""Heads as modules `Dense`: a linear layer each, with an activation behind it.

Shapes: I numbers per token that go in, O numbers that come out.
"""

from dataclasses import dataclass

from safetensors.torch import save
from torch import Tensor, nn

from colintern.model.heads import Heads
from colintern.retrieval.export.content import Content, document
from colintern.retrieval.export.template import Side

MODULE = "sentence_transformers.base.modules.dense.Dense"
TOKENS = "token_embeddings"
_SHARED = "shared"
# Names that start with `torch.` are loaded without remote code; any other becomes Tanh.
_ACTIVATIONS = {
    nn.Identity: "torch.nn.modules.linear.Identity",
    nn.GELU: "torch.nn.modules.activation.GELU",
}


@dataclass(frozen=True)
class Dense:
    """A linear layer and what follows it."""

    linear: nn.Linear
    activation: nn.Module

    @property
    def width(self) -> int:
        """O."""
        return self.linear.out_features

    def files(self, folder: str) -> dict[str, Content]:
        """Its configuration and its weights in float32."""
        tensors: dict[str, Tensor] = {"linear.weight": self.linear.weight.detach().contiguous()}
        if self.linear.bias is not None:
            tensors["linear.bias"] = self.linear.bias.detach().contiguous()
        config = {
            "in_features": self.linear.in_features,
            "out_features": self.linear.out_features,
            "bias": self.linear.bias is not None,
            "activation_function": _ACTIVATIONS[type(self.activation)],
            "module_input_name": TOKENS,
            "module_output_name": TOKENS,
        }
        return {
            f"{folder}/config.json": document(config),
            f"{folder}/model.safetensors": save(tensors),
        }


def is_shared(heads: Heads) -> bool:
    """Whether queries and pages go through the same layers."""
    return _SHARED in dict(heads.named_children())


def layers_of(heads: Heads, side: Side) -> list[Dense]:
    """The layers that queries, or pages, go through."""
    projection = heads.get_submodule(_SHARED if is_shared(heads) else side)
    if isinstance(projection, nn.Linear):
        return [Dense(projection, nn.Identity())]
    assert isinstance(projection, nn.Sequential)
    first, activation, last = projection
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    return [Dense(first, activation), Dense(last, nn.Identity())]
