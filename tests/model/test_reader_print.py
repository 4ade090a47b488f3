"""The built-in backbone for printed pages: its size, that it reads, and that `reader` stays."""

import torch
from torch.nn import functional
from transformers import AutoModel

from colintern.config.schema import BackboneConfig
from colintern.model.backbone import FrozenBackbone
from colintern.model.checkpoint import checkpoint_hash, find_checkpoint
from tests.pretraining.printed.helpers import opened, typed_pdf

CONFIG = BackboneConfig(path="reader-print", max_tiles=12, pad_to_grid=True)
DOTS_PER_POINT = 2  # as `colintern ingest` draws pages
TEXTS = (
    ("a heron waits beside the frozen canal", "before the ferry leaves at seven"),
    ("invoices are paid within thirty days", "unless the customer objects in writing"),
    ("turn the valve slowly until steam escapes", "and close the upper lid again"),
    ("her grandfather repaired violins in Vienna", "and sold the wood to neighbours"),
    ("select a file and press the print button", "the window shows each printer"),
    ("the museum opens on the first of October", "visitors enter from the garden"),
)
READER_HASH = "714e16e71e1426b54cb0ca5b4dcc032a9a935d4a6925cfa3e3f1f31a2bac19fe"


def test_it_loads_as_any_internvl_does_and_is_small():
    """A checkpoint that needs code of ours, or that is too large to ship."""
    folder = find_checkpoint(CONFIG)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 12_000_000
    assert type(AutoModel.from_pretrained(folder)).__name__ == "InternVLModel"


def test_it_finds_lines_of_printed_pages_before_any_training(tmp_path):
    """A checkpoint of another tokenizer, of random weights, or of an unfinished pretraining.

    Without heads: the cosine of what it sees and what it is asked.
    """
    backbone = FrozenBackbone(CONFIG)
    images = []
    for number, text in enumerate(TEXTS):
        page = opened(typed_pdf(tmp_path / f"{number}.pdf", text))
        images.append(page.render(scale=DOTS_PER_POINT).to_pil().convert("RGB"))
    pages = [functional.normalize(page.float(), dim=-1) for page in backbone.encode_pages(images)]
    lines = [(line, number) for number, text in enumerate(TEXTS) for line in text]
    queries = backbone.encode_queries([line for line, _ in lines])
    found = []
    for query, (_, right) in zip(queries, lines, strict=True):
        query = functional.normalize(query.float(), dim=-1)
        scores = torch.stack([(query @ page.T).amax(1).mean() for page in pages])
        found.append(int(scores.argmax()) == right)
    assert sum(found) >= len(found) - 1


def test_the_reader_of_the_demo_stays_as_it_is():
    """Features and records of everybody's runs that are no longer those of this backbone."""
    assert checkpoint_hash(find_checkpoint(BackboneConfig(path="reader"))) == READER_HASH
