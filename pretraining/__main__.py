"""`python -m pretraining --out DIR`: make the `reader` checkpoint, or continue to make it."""

import argparse
import time
from pathlib import Path

import torch

from colintern import log
from pretraining.recipe import Recipe
from pretraining.run import pretrain


def main() -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(prog="python -m pretraining", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/reader"), help="folder to work in")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="batches to train on")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    arguments = parser.parse_args()
    log.set_up()
    torch.set_num_threads(arguments.threads)
    began = time.monotonic()
    pretrain(Recipe(steps=arguments.steps), arguments.out)
    print(f"{arguments.out}/checkpoint   {(time.monotonic() - began) / 60:.0f} min")


if __name__ == "__main__":
    main()
