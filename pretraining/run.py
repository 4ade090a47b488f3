"""Pretraining from the first step to the checkpoint folder; after a restart it continues."""

import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler
from transformers import InternVLModel, PreTrainedTokenizerFast
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from colintern.config.schema import BackboneConfig
from colintern.log import say
from colintern.model.quiet import quiet_transformers
from pretraining.batches import MEAN, STD, Batches, TileBatch
from pretraining.classes import CHARACTERS
from pretraining.model import Readers, fresh_model, whiten_patches
from pretraining.objectives import losses, reading
from pretraining.optimizers import Muon, split_parameters
from pretraining.recipe import TILE, TOKENS_PER_TILE, Recipe
from pretraining.state import load_state, save_state
from pretraining.steps import cut_log, learn, note, num_parameters, say_step, with_peaks
from pretraining.text import Source, sources, tokenizer_texts
from pretraining.tiles import PATCH_SLOTS
from pretraining.tokens import kept_tokenizer, train_tokenizer

_LOG_EVERY, _MEASURE_EVERY, _SAVE_EVERY = 25, 250, 250  # steps
_WHITENING_TILES = 200
_HELD_OUT_TILES = 96


def pretrain(recipe: Recipe, folder: Path) -> dict[str, float]:
    """Make the checkpoint in `folder/checkpoint`, or continue to make it.

    Returns:
        How well held-out tiles are read at the end; also written to `folder/reading.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trained, held_out = _sources(folder)
    tokenizer = _tokenizer(recipe, trained, folder)
    prompts = Prompts(tokenizer)
    made = partial(
        Batches,
        tokenizer=tokenizer,
        query_prefix=prompts.query,
        spans_per_tile=recipe.spans_per_tile,
    )
    batches = made(trained, size=recipe.batch, seed=f"{recipe.seed} train")
    test = made(held_out, size=_HELD_OUT_TILES, seed=f"{recipe.seed} test")[0]

    readers = _fresh_readers(recipe, len(tokenizer), prompts, batches)
    optimizers = _optimizers(recipe, readers)
    first = load_state(folder, readers, optimizers)
    cut_log(folder, first)
    say("reader", "%s parameters, from step %d", num_parameters(readers.model), first)

    began = time.monotonic()
    for step, batch in enumerate(_stream(batches, first, recipe.steps), start=first):
        parts = _train_step(readers, optimizers, batch, prompts.page, recipe, step)

        # Once in a while
        done = step + 1
        is_last = done == recipe.steps
        if done % _LOG_EVERY == 0:
            rate = (done - first) * recipe.batch / (time.monotonic() - began)
            say_step(folder, done, recipe.steps, {**parts, "tiles_per_second": rate})
        if done % _MEASURE_EVERY == 0 or is_last:
            _log_reading(folder, done, _measure(readers, test, prompts.page))
        if done % _SAVE_EVERY == 0 or is_last:
            write_checkpoint(folder / "checkpoint", readers.model, tokenizer)
            save_state(folder, readers, optimizers, done)

    measured = _measure(readers, test, prompts.page)
    (folder / "reading.json").write_text(json.dumps({**measured, "recipe": asdict(recipe)}))
    return measured


def write_checkpoint(
    folder: Path, model: InternVLModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Write configuration, weights in bfloat16, tokenizer and image processor, for transformers."""
    with quiet_transformers():
        weights = {name: value.bfloat16() for name, value in model.state_dict().items()}
        model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    GotOcr2ImageProcessorPil(
        size={"height": TILE, "width": TILE},
        image_mean=MEAN.flatten().tolist(),
        image_std=STD.flatten().tolist(),
        crop_to_patches=True,
    ).save_pretrained(folder)


class Prompts:
    """The token ids around pages and queries, with ColIntern's default prompts."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        def plain(text: str) -> list[int]:
            return tokenizer(text, add_special_tokens=False)["input_ids"]

        def special(token: str) -> int:
            return tokenizer.get_vocab()[token]

        default = BackboneConfig()
        self.context_id = special("<IMG_CONTEXT>")
        self.page = [
            special("<img>"),
            *[self.context_id] * TOKENS_PER_TILE,
            special("</img>"),
        ]
        before = plain(default.page_prompt)
        self.page = [*before, *self.page]
        self.query = plain(default.query_prefix)


class _From(Sampler[int]):
    """The numbers of the batches that are left to train on."""

    def __init__(self, first: int, last: int) -> None:
        self._numbers = range(first, last)

    def __iter__(self) -> Any:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def _stream(batches: Batches, first: int, last: int) -> Any:
    """The batches from `first` on; another process prints them in advance."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=_From(first, last),
        num_workers=1,
        prefetch_factor=8,
        multiprocessing_context="spawn",
    )


def _sources(folder: Path) -> tuple[Source, Source]:
    """The texts to print; gathered only once, as reading all packages takes minutes."""
    path = folder / "sources.json"
    if not path.exists():
        say("reader", "gathering the documentation of the installed packages")
        fresh = folder / "sources.fresh"
        fresh.write_text(json.dumps([asdict(source) for source in sources()]))
        fresh.rename(path)
    trained, held_out = (
        Source(tuple(found["texts"]), tuple(found["words"]))
        for found in json.loads(path.read_text())
    )
    say("reader", "%s passages, %s held out", f"{len(trained.texts):,}", len(held_out.texts))
    return trained, held_out


def _tokenizer(recipe: Recipe, source: Source, folder: Path) -> PreTrainedTokenizerFast:
    texts = tokenizer_texts(source, recipe.seed)
    return kept_tokenizer(folder / "tokenizer", lambda: train_tokenizer(texts, recipe.vocabulary))


def _fresh_readers(recipe: Recipe, num_tokens: int, prompts: Prompts, batches: Batches) -> Readers:
    torch.manual_seed(recipe.seed)
    model = fresh_model(recipe, num_tokens, prompts.context_id)
    count = -(-_WHITENING_TILES // recipe.batch)
    whiten_patches(model, torch.cat([batches[-1 - n].pixels_N3TT for n in range(count)]))
    return Readers(recipe, model, len(CHARACTERS) + 1, PATCH_SLOTS)


def _optimizers(recipe: Recipe, readers: Readers) -> list[torch.optim.Optimizer]:
    """Muon and AdamW; each parameter group also has its peak learning rate."""
    matrices, rest = split_parameters(readers)
    return with_peaks(
        Muon(matrices, recipe.muon_learning_rate),
        torch.optim.AdamW(rest, recipe.adam_learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    )


def _train_step(
    readers: Readers,
    optimizers: list[torch.optim.Optimizer],
    batch: TileBatch,
    prompt: list[int],
    recipe: Recipe,
    step: int,
) -> dict[str, float]:
    """Train on one batch; returns the losses and the norm of the gradient."""
    is_matching = step >= recipe.retrieval_from * recipe.steps
    seen = readers(batch, prompt)
    total, parts = losses(seen, batch, recipe, retrieval=is_matching)
    return {**parts, "grad_norm": learn(total, readers, optimizers, recipe.rate(step))}


def _log_reading(folder: Path, done: int, measured: dict[str, float]) -> None:
    say("reader", "held out: %s", "   ".join(f"{k} {v:.3f}" for k, v in measured.items()))
    note(folder, {"step": done, "held_out": measured})


def _measure(readers: Readers, test: TileBatch, prompt: list[int]) -> dict[str, float]:
    readers.eval()
    with torch.no_grad():
        measured = reading(readers(test, prompt), test)
    readers.train()
    return measured
