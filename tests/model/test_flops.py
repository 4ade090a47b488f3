"""Operations counted from a model's sizes are those that torch counts when it runs."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import InternVLConfig

from colintern.config.schema import BackboneConfig
from colintern.model.backbone import FrozenBackbone, read_identity
from colintern.model.flops import backbone_flops
from tests.model.twins import QWEN2_TEXT, VISION, config_document

NAMES = ["reader", "random", "InternVL2_5-2B", "InternVL3-1B", "InternVL3_5-1B"]


def _counted(backbone: FrozenBackbone, run) -> int:
    # The counter knows no kernel of attention on a CPU, but the products that eager is made of.
    backbone._model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "layer"),
    [*product(NAMES, [-1, "projector"]), ("reader", 1), ("reader", 0), ("reader", (2, 0))],
)
def test_pages_and_queries_cost_what_torch_counts(name, layer, twin):
    """A forgotten product or factor: plans that are off, and shards of hours instead of minutes."""
    path = name if name in ("reader", "random") else str(twin(name)[0])
    config = BackboneConfig(path=path, layer=layer)
    bidirectional = config.model_copy(update={"attention": "bidirectional"})
    assert read_identity(config).flops.is_causal
    flops = read_identity(bidirectional).flops
    assert not flops.is_causal
    backbone = FrozenBackbone(config)
    for num_tiles in (1, 3):
        tiles = torch.zeros(num_tiles, 3, *backbone._processor.tile)
        page = _counted(backbone, lambda tiles=tiles: backbone.encode_tiles([tiles]))
        assert flops.page(num_tiles * backbone.tiles.tokens_per_tile) == pytest.approx(
            page, rel=0.01
        )
    tokens = len(backbone._processor.query_tokens("Where is the kettle?"))
    query = _counted(backbone, lambda: backbone.encode_queries(["Where is the kettle?"]))
    assert flops.query(tokens) == pytest.approx(query, rel=0.01)
    assert flops.page(256) > 0


def _language_weights(text: dict) -> int:
    """The weights that a token goes through in the language model of a configuration."""
    document = config_document(text, VISION, tied=False, image_token_id=1)
    flops = backbone_flops(InternVLConfig.from_dict(document), 256, 4)
    assert flops.language is not None
    return flops.language.weights


# Two layers of width 28: attention, router of four experts, and two experts of width 24.
_WEIGHTS_OF_TWO_EXPERTS = 2 * (28 * 4 * 2 * (7 + 1) + 28 * 4 + 2 * 3 * 28 * 24)


def test_experts_count_as_far_as_they_are_used():
    """A mixture of experts priced as if each token went through all of them, or through none."""
    sizes = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    text = QWEN2_TEXT | {"model_type": "qwen3_moe", "head_dim": 4} | sizes
    assert _language_weights(text) == _WEIGHTS_OF_TWO_EXPERTS


def test_experts_of_gpt_oss_are_as_wide_as_its_configuration_says():
    """A checkpoint that cannot be used because the width of its experts has another name."""
    sizes = {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 24}
    shared = {"hidden_size": 28, "num_hidden_layers": 2, "head_dim": 4}
    heads = {"num_attention_heads": 7, "num_key_value_heads": 1}
    text = {"model_type": "gpt_oss", "vocab_size": 100} | sizes | shared | heads
    assert _language_weights(text) == _WEIGHTS_OF_TWO_EXPERTS


def test_a_published_size_is_as_measured_on_a_gpu():
    """The figures of the README: 5.7 TFLOP with the weights, for an A4 page of InternVL3-1B."""
    vision = VISION | {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
    }
    text = QWEN2_TEXT | {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    }
    document = config_document(text, vision, tied=False, image_token_id=1)
    flops = backbone_flops(InternVLConfig.from_dict(document), 256, 10)
    without = replace(
        flops,
        vision=replace(flops.vision, attention=0),
        language=flops.language and replace(flops.language, attention=0),
    )
    assert without.page(1_792) / 1e12 == pytest.approx(5.7, rel=0.01)
    assert flops.page(1_792) / 1e12 == pytest.approx(6.6, rel=0.02)
