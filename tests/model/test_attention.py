"""The attention that is asked for is the attention that is run."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoModel,
    InternVLConfig,
    InternVLModel,
    Qwen3MoeConfig,
    RecurrentGemmaConfig,
)

from colintern.config.schema import BackboneConfig
from colintern.errors import BackboneError
from colintern.model.attention import check_bidirectional
from colintern.model.backbone import FrozenBackbone
from colintern.model.quiet import quiet_transformers
from colintern.model.random_checkpoint import write_random_checkpoint
from tests.model.twins import LANGUAGE_MODELS


def _pages(backbone: FrozenBackbone) -> list[np.ndarray]:
    """The tiles of two pages that differ in their last tile only."""
    pixels = np.random.default_rng(0).integers(0, 256, (448, 896, 3), dtype=np.uint8)
    left, right, _ = backbone.tiler(Image.fromarray(pixels))
    return [np.stack([left, right]), np.stack([left, left])]


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
@pytest.mark.parametrize("kind", LANGUAGE_MODELS)
def test_tokens_see_what_they_are_asked_to_see(twin, kind, attention):
    """A setting that a language model, or one of its implementations of attention, ignores."""
    folder, _ = twin(LANGUAGE_MODELS[kind])
    backbone = FrozenBackbone(
        BackboneConfig(path=str(folder), max_tiles=2, attention=attention, query_prefix="")
    )
    language_model = backbone._model.language_model
    assert language_model.config.model_type == kind
    for implementation in ("sdpa", "eager"):
        backbone._model.set_attn_implementation(implementation)
        assert language_model.config._attn_implementation == implementation
        queries = backbone.encode_queries(["What is a kettle, a b?", "What is a kettle, a c?"])
        pages = backbone.encode_tiles(_pages(backbone))
        for first, second in (queries, pages):
            differs = (first != second).any(dim=1)
            assert differs[-1]
            assert differs[0] == (attention == "bidirectional"), implementation


def test_a_language_model_that_cannot_is_refused(tmp_path):
    """A store named after an attention that its features were not computed with."""
    write_random_checkpoint(tmp_path)
    config = InternVLConfig.from_pretrained(tmp_path)
    config.text_config = RecurrentGemmaConfig(  # of two layers none attends
        vocab_size=config.text_config.vocab_size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        lru_width=32,
    )
    with quiet_transformers():
        InternVLModel(config).save_pretrained(tmp_path)
    FrozenBackbone(BackboneConfig(path=str(tmp_path)))
    with pytest.raises(BackboneError, match=r"bidirectional: has no effect .*\(recurrent_gemma\)"):
        FrozenBackbone(BackboneConfig(path=str(tmp_path), attention="bidirectional"))


def test_experts_that_ignore_it_are_refused():
    """A check that every mixture of experts passes: which tokens share an expert changes bits."""
    config = Qwen3MoeConfig(
        vocab_size=100,
        hidden_size=64,
        intermediate_size=64,
        moe_intermediate_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_experts=16,
        num_experts_per_tok=4,
    )
    experts = AutoModel.from_config(config).float().eval()
    check_bidirectional(SimpleNamespace(language_model=experts, config=None), "twin")
    experts.config.is_causal = True
    deaf = _Deaf(experts)
    model = SimpleNamespace(language_model=deaf, config=SimpleNamespace(text_config=config))
    with pytest.raises(BackboneError, match=r"bidirectional: has no effect .*\(qwen3_moe\)"):
        check_bidirectional(model, "twin")


class _Deaf:
    """A language model that does not look at what is set in its configuration."""

    def __init__(self, language_model: torch.nn.Module) -> None:
        self.config = SimpleNamespace()
        self.device = language_model.device
        self._language_model = language_model

    def __call__(self, **inputs: object) -> object:
        return self._language_model(**inputs)
