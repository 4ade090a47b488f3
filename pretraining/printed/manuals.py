"""`python -m pretraining.printed.manuals FOLDER`: five manuals that no training has seen."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from colintern import log
from colintern.errors import UserError
from pretraining.printed.packages import check_programs, fetch, files, packages

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
    try:
        check_programs()
    except UserError as error:
        sys.exit(f"{error}; take a folder of your own: make demo-real PDFS=folder")
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
            found = [path for path in files(unpacked, ".pdf") if path.name == manual]
            if not found:
                sys.exit(f"{name}: its version here has no {manual}; try another release of Debian")
            fresh = folder / f"{manual}.fresh"
            shutil.copyfile(found[0], fresh)
            fresh.rename(folder / manual)


if __name__ == "__main__":
    main()
