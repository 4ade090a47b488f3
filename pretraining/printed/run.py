"""Training of `reader-print`, from the first step to the checkpoint; after a stop it continues."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerFast

from colintern.config.schema import BackboneConfig
from colintern.log import say
from pretraining.batches import normalised
from pretraining.classes import CHARACTERS
from pretraining.model import random_model
from pretraining.objectives import losses, reading
from pretraining.optimizers import Muon, split_parameters
from pretraining.printed.batches import Batches, TileBatch
from pretraining.printed.corpus import Corpus, Pages
from pretraining.printed.labels import PATCH_SLOTS
from pretraining.printed.model import Prompt, Readers, keep_places, local_start
from pretraining.printed.recipe import Recipe
from pretraining.run import write_checkpoint
from pretraining.state import load_state, save_state
from pretraining.steps import cut_log, learn, note, num_parameters, say_step, with_peaks

_LOG_EVERY = 100  # steps
_MEASURE_SECONDS = 900
_SAVE_SECONDS = 600
_WHITENING_BATCHES = 25
_HELD_OUT_TILES = 96
_GROUPS = (1, 1, 4, 8)  # tiles that the LLM reads as one page


def pretrain(recipe: Recipe, corpus: Corpus, folder: Path) -> None:
    """Make `folder/checkpoint-STEP` at the end of each cycle, or continue to make them.

    `folder/checkpoint` is what it looks like in between.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = corpus.tokenizer(recipe.vocabulary)
    prompt, query_prefix = _prompts(tokenizer)
    batches = _Stream(corpus, recipe, query_prefix)
    held_out = _held_out(corpus, recipe, tokenizer, query_prefix)

    readers = _fresh_readers(recipe, tokenizer, batches)
    optimizers = _optimizers(recipe, readers)
    first = load_state(folder, readers, optimizers)
    cut_log(folder, first)
    say("reader", "%s parameters, from step %d", num_parameters(readers.model), first)
    note(folder, {"step": first, "recipe": asdict(recipe)})

    began = measured = saved = time.monotonic()
    for step, batch in enumerate(_ahead(batches, first, recipe.steps), start=first):
        parts = _train_step(readers, optimizers, batch, prompt, recipe, step)

        # Once in a while
        done, now = step + 1, time.monotonic()
        is_finished = done in recipe.cycles
        if done % _LOG_EVERY == 0:
            rate = (done - first) * recipe.batch / (now - began)
            say_step(folder, done, recipe.steps, {**parts, "tiles_per_second": rate})
        if now - measured > _MEASURE_SECONDS or is_finished:
            measured = now
            _log_reading(folder, done, _measured(readers, held_out, prompt))
        if now - saved > _SAVE_SECONDS or is_finished:
            saved = now
            name = f"checkpoint-{done}" if is_finished else "checkpoint"
            write_checkpoint(folder / name, readers.model, tokenizer)
            # Last, so that a killed run comes here again.
            save_state(folder, readers, optimizers, done)


class _Stream(Dataset):
    """The batches, made in whatever process asks: pages are mapped into its memory there.

    Pickled, it is as it was at first: without the pages, which are gigabytes.
    """

    def __init__(self, corpus: Corpus, recipe: Recipe, query_prefix: list[int]) -> None:
        self._corpus, self._recipe, self._query_prefix = corpus, recipe, query_prefix
        self._batches: Batches | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_batches": None}

    def __getitem__(self, number: int) -> TileBatch:
        if self._batches is None:
            recipe = self._recipe
            pages = [(self._corpus.trained(kind), share) for kind, share in recipe.shares]
            pages = [(some, share) for some, share in pages if len(some)]
            self._batches = Batches(
                [some for some, _ in pages],
                [share for _, share in pages],
                self._corpus.tokenizer(recipe.vocabulary),
                self._query_prefix,
                size=recipe.batch,
                sizes=recipe.print_sizes,
                seed=f"{recipe.seed} train",
                spans_per_tile=recipe.spans_per_tile,
            )
        return self._batches[number]


def _ahead(batches: _Stream, first: int, last: int) -> Iterator[TileBatch]:
    """The batches from `first` on; another process makes them in advance."""
    numbers: Any = range(first, last)
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=numbers,
            num_workers=1,
            prefetch_factor=12,
            worker_init_fn=_with_one_thread,
            multiprocessing_context="spawn",
        )
    )


def _with_one_thread(_: int) -> None:
    torch.set_num_threads(1)


def _prompts(tokenizer: PreTrainedTokenizerFast) -> tuple[Prompt, list[int]]:
    """The token ids around pages, and before queries, with ColIntern's default prompts."""

    def plain(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    default, vocabulary = BackboneConfig(), tokenizer.get_vocab()
    before = (*plain(default.page_prompt), vocabulary["<img>"])
    return Prompt(before, (vocabulary["</img>"],)), plain(default.query_prefix)


def _held_out(
    corpus: Corpus, recipe: Recipe, tokenizer: PreTrainedTokenizerFast, query_prefix: list[int]
) -> dict[str, TileBatch]:
    """Tiles that are not trained on, by source; and of all of them by size of text."""

    def cut(pages: Sequence[Pages], sizes: tuple[float, float], name: str) -> TileBatch:
        return Batches(
            pages,
            [1.0] * len(pages),
            tokenizer,
            query_prefix,
            size=_HELD_OUT_TILES,
            sizes=sizes,
            seed=f"{recipe.seed} test {name}",
            spans_per_tile=recipe.spans_per_tile,
        )[0]

    sources = corpus.held_out()
    all_pages = [pages for name, pages in sources.items() if name in dict(recipe.shares)]
    if not all_pages:
        return {}
    middle = (13.5, 16.5)
    return {
        **{name: cut([pages], middle, name) for name, pages in sources.items()},
        **{f"{size:g} px": cut(all_pages, (size, size), str(size)) for size in (11.0, 13.0, 18.0)},
    }


def _fresh_readers(recipe: Recipe, tokenizer: PreTrainedTokenizerFast, batches: _Stream) -> Readers:
    torch.manual_seed(recipe.seed)
    model = random_model(recipe, len(tokenizer), tokenizer.get_vocab()["<IMG_CONTEXT>"])
    tiles = torch.cat([batches[-1 - number].grey_NTT for number in range(_WHITENING_BATCHES)])
    local_start(model, normalised(tiles))
    return Readers(recipe, model, len(CHARACTERS) + 1, PATCH_SLOTS)


def _optimizers(recipe: Recipe, readers: Readers) -> list[torch.optim.Optimizer]:
    """Muon and two of AdamW; each parameter group also has its peak learning rate.

    Muon makes all directions of an update as strong, and so washes the neighbours that heads look
    at out of queries and keys within a few hundred steps.
    """
    looks = {
        id(parameter): parameter
        for name, parameter in readers.named_parameters()
        if "vision_tower" in name and ("q_proj.weight" in name or "k_proj.weight" in name)
    }
    matrices, rest = split_parameters(readers)
    matrices = [parameter for parameter in matrices if id(parameter) not in looks]
    betas = (0.9, 0.98)
    return with_peaks(
        Muon(matrices, recipe.muon_learning_rate),
        torch.optim.AdamW(rest, recipe.adam_learning_rate, betas=betas, weight_decay=0.0),
        torch.optim.AdamW(
            looks.values(), recipe.attention_learning_rate, betas=betas, weight_decay=0.0
        ),
    )


def _train_step(
    readers: Readers,
    optimizers: Sequence[torch.optim.Optimizer],
    batch: TileBatch,
    prompt: Prompt,
    recipe: Recipe,
    step: int,
) -> dict[str, float]:
    """Train on one batch; returns the losses and the norm of the gradient."""
    group = random.Random(f"{recipe.seed} group {step}").choice(_GROUPS)
    retrieval = step >= recipe.retrieval_from
    total, parts = losses(readers(batch, prompt, group), batch, recipe, retrieval=retrieval)
    norm = learn(total, readers, optimizers, recipe.rate(step))
    keep_places(readers.model)
    return {**parts, "grad_norm": norm}


def _measured(
    readers: Readers, held_out: dict[str, TileBatch], prompt: Prompt
) -> dict[str, dict[str, float]]:
    readers.eval()
    with torch.no_grad():
        measured = {
            name: reading(readers(batch, prompt, group=1), batch)
            for name, batch in held_out.items()
        }
    readers.train()
    return measured


def _log_reading(folder: Path, done: int, measured: dict[str, dict[str, float]]) -> None:
    for name, shares in measured.items():
        shown = "   ".join(f"{key} {value:.3f}" for key, value in shares.items())
        say("reader", "held out: %-8s %s", name, shown)
    note(folder, {"step": done, "held_out": measured})
