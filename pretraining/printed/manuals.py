"""`python -m pretraining.printed.manuals FOLDER`: five manuals that no training has seen."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from colintern import log
from pretraining.printed.packages import fetch, files, packages

# The file of each package. The packages are free software, and held out of pretraining.
MANUALS = {
    "gle-graphics-manual": "gle-manual.pdf",
    "gnucash-docs": "gnucash-guide-en.pdf",
    "octave-doc": "liboctave.pdf",
    "r-doc-pdf": "R-intro.pdf",
    "ubuntu-packaging-guide-pdf": "ubuntu-packaging-guide.pdf",
}


def main() -> None:
    """Fetch the manuals that are not there."""
    parser = argparse.ArgumentParser(
        prog="python -m pretraining.printed.manuals", description=__doc__
    )
    parser.add_argument("folder", type=Path, help="where the PDF files are put")
    folder: Path = parser.parse_args().folder
    log.set_up()
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        sys.exit("the manuals come from Debian packages: give a folder with PDF files of your own")
    folder.mkdir(parents=True, exist_ok=True)
    held = {package.name: package for package in packages("held")}
    for name, manual in MANUALS.items():
        if (folder / manual).exists():
            continue
        log.say("manuals", "fetching %s of Debian's package %s", manual, name)
        with tempfile.TemporaryDirectory() as scratch:
            unpacked = fetch(held[name], Path(scratch))
            if unpacked is None:
                sys.exit(f"{name}: cannot be fetched; does `apt-get download {name}` work?")
            found = next(path for path in files(unpacked, ".pdf") if path.name == manual)
            shutil.move(found, folder / manual)


if __name__ == "__main__":
    main()
