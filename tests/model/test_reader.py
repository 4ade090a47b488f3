"""The built-in backbone: it loads as any InternVL, it reads, and heads learn on it."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoTokenizer

from colintern.config.files import load_config
from colintern.config.schema import BackboneConfig
from colintern.model.backbone import FrozenBackbone
from colintern.model.checkpoint import find_checkpoint
from colintern.runs import loop
from pretraining.batches import Batches
from pretraining.classes import CHARACTERS
from pretraining.model import Readers
from pretraining.objectives import reading
from pretraining.recipe import Recipe
from pretraining.run import Prompts
from pretraining.text import Source
from pretraining.tiles import PATCH_SLOTS

ROOT = Path(__file__).parents[2]
CONFIG = BackboneConfig()  # its default is the reader
HELD_OUT = Source(
    (
        "The garden behind the old house was full of apples, and every morning the children of "
        "the village came to gather them before school. Nobody had planted the trees.",
        "Before you send the letter, write the name of the street and the number of the house on "
        "the front, and your own address on the back. Letters without a stamp are returned.",
        "A good map shows rivers, hills, roads and bridges. It also shows how far it is from one "
        "town to the next, so that a traveller knows when to start and where to rest.",
    ),
    ("apple", "bridge", "village"),
)


def test_it_loads_as_any_internvl_does():
    """A checkpoint that needs code of ours, or that is too large to ship."""
    folder = find_checkpoint(CONFIG)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 6_000_000
    assert type(AutoModel.from_pretrained(folder)).__name__ == "InternVLModel"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.decode(tokenizer("The Lamp", add_special_tokens=False)["input_ids"])
    assert (folder / "preprocessor_config.json").is_file()


def test_it_takes_several_tiles_and_a_thumbnail():
    """A backbone for small pages only."""
    backbone = FrozenBackbone(CONFIG)
    (page,) = backbone.encode_pages([Image.new("RGB", (448, 448), "white")])
    assert page.shape == (5 * 64, backbone.width)


def test_it_reads():
    """A checkpoint of another tokenizer, of random weights, or of an unfinished pretraining."""
    torch.manual_seed(0)
    folder = find_checkpoint(CONFIG)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = Prompts(tokenizer)
    tiles = Batches(HELD_OUT, tokenizer, prompts.query, 16, "held out", 2)[0]
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    readers = Readers(Recipe(), model, len(CHARACTERS) + 1, PATCH_SLOTS)
    with torch.no_grad():
        assert reading(readers(tiles, prompts.page), tiles)["cells"] > 0.5


@pytest.mark.slow
@pytest.mark.ray
def test_the_reduced_demo_learns(ray_cluster, tmp_path):
    """A backbone, a corpus or a training step with which the loop runs and nothing is learned.

    The floors are half of the gains over the untrained heads (0.745) that were measured when they
    were set: 0.909 and 0.916. With so few pages mined negatives gain next to nothing yet.
    """
    overrides = [f"run.root={tmp_path}", "training.epochs=[6,3]"]
    config = load_config(str(ROOT / "configs" / "tiny.yaml"), overrides)
    folder = loop.run(config)
    name = config.data.eval[0].name
    found = [
        json.loads(Path(folder.evaluation(number, name)).read_text())["metrics"]["ndcg_at_5"]
        for number in range(3)
    ]
    assert found[1] > 0.827
    assert found[2] > 0.830
