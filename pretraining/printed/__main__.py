"""`python -m pretraining.printed`: make the `reader-print` checkpoint, or continue to make it."""

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

import torch

from colintern import log
from colintern.errors import UserError
from pretraining.printed.corpus import Corpus
from pretraining.printed.recipe import Recipe
from pretraining.printed.run import pretrain
from pretraining.printed.sources import Sources

_CACHE = Path.home() / ".cache/colintern/pretraining"


def main() -> None:
    """Read the command line, make the pages that are not there, and pretrain."""
    parser = argparse.ArgumentParser(prog="python -m pretraining.printed", description=__doc__)
    parser.add_argument("--folder", type=Path, help=f"pages, state and checkpoint ({_CACHE})")
    parser.add_argument("--pdfs", type=Path, help="PDF files to learn from, instead of Debian's")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--only-pages", action="store_true", help="do not train")
    arguments = parser.parse_args()
    log.set_up()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("chromium is needed, to print HTML: apt-get install chromium")
    own = arguments.pdfs.resolve() if arguments.pdfs else None
    # Pages of another place make another model.
    mark = hashlib.sha256(str(own).encode()).hexdigest()[:6]
    folder = arguments.folder or (_CACHE if own is None else _CACHE / f"of-{own.name}-{mark}")
    sources = Sources(folder, chromium)
    try:
        sources.make(own)
        corpus = Corpus(folder, sources.words())
    except UserError as error:
        sys.exit(str(error))
    if not arguments.only_pages:
        torch.set_num_threads(arguments.threads)
        pretrain(Recipe(), corpus, folder / "run")


if __name__ == "__main__":
    main()
