"""`python -m benchmarks.scale`: bytes a page and seconds, at several sizes of the corpus.

Memory is the peak of a fresh process, above what it held after the same over a hundred pages.
"latest" is the longest
that another thread waited for the interpreter, as the heartbeat of a lease does.
"""

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.scale import driver, readers
from benchmarks.scale.meter import in_fresh_process

# In this order, each over what those before it have left in its folder.
MEASURED = {
    "driver": driver.plan_and_finish,
    "driver, all shards opened": driver.finish_again,
    "open a store": driver.open_store,
    **readers.OF_PAGES,
}
_FIRST_PAGES = 100
_SIZES = "10000,100000,1000000"


def main() -> None:
    """Measure and print the table, or take one measurement and print it as JSON."""
    parser = argparse.ArgumentParser(description="What bookkeeping costs for each page.")
    parser.add_argument("--pages", default=_SIZES, help=f"sizes, default {_SIZES}")
    parser.add_argument("--measure", choices=MEASURED, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure = MEASURED[arguments.measure]
        with tempfile.TemporaryDirectory() as folder:  # what is imported or set up at first use
            for before in MEASURED.values():
                before(Path(folder), _FIRST_PAGES)
                if before is measure:
                    break
        found = measure(arguments.folder, int(arguments.pages))
        print(json.dumps(found))
        return
    print(f"{'':<28}{'pages':>11}{'MB':>9}{'bytes/page':>12}{'latest s':>10}   seconds")
    for num_pages in map(int, arguments.pages.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            for name in MEASURED:
                found = in_fresh_process(name, Path(folder), num_pages)
                parts = ", ".join(f"{part} {value:.1f}" for part, value in found["seconds"].items())
                print(
                    f"{name:<28}{num_pages:>11,}{found['peak'] / 1e6:>9.1f}"
                    f"{found['peak'] / num_pages:>12.0f}{found['latest']:>10.2f}   {parts}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
