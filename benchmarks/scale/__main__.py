"""`python -m benchmarks.scale`: bytes and seconds, by the number of pages and of queries.

Each line is measured in a fresh process, which first does the same over a hundred pages or queries.

- peak, kept: the resident set (/proc/self/status), at its most and at the end, above what it was
  after that first time.
- late: the longest that another thread waited for the interpreter, as a lease's heartbeat does.
"""

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.scale import driver, readers
from benchmarks.scale.meter import in_fresh_process

# In this order, each over what those before it have left in its folder.
_DRIVER = {
    "driver": driver.plan_and_finish,
    "driver, all shards opened": driver.finish_again,
    "open a store": driver.open_store,
}
_OF_PAGES = {**_DRIVER, **readers.OF_PAGES}
_MEASURED = {**_OF_PAGES, **readers.OF_QUERIES}
_FIRST = 100  # pages or queries that a process works on before it is measured
_PAGES = "10000,100000,1000000"
_QUERIES = "10000,100000"


def main() -> None:
    """Measure and print the tables, or take one measurement and print it as JSON."""
    parser = argparse.ArgumentParser(description="What bookkeeping costs for each page and query.")
    parser.add_argument("--pages", default=_PAGES, help=f"sizes, default {_PAGES}")
    parser.add_argument("--queries", default=_QUERIES, help=f"sizes, default {_QUERIES}")
    parser.add_argument("--only", default="", help="only lines that begin so, for instance mining")
    parser.add_argument("--measure", choices=_MEASURED, help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(_measured(arguments.measure, arguments.folder, arguments.number)))
        return
    sizes = [
        (number, of_one, measured)
        for chosen, of_one, measured in (
            (arguments.pages, "page", _OF_PAGES),
            (arguments.queries, "query", readers.OF_QUERIES),
        )
        for number in map(int, chosen.split(",") if chosen else ())
    ]
    heads = ("number", "peak MB", "kept MB", "peak each", "kept each", "late s")
    print(f"{'':<28}" + "".join(f"{head:>12}" for head in heads) + "   seconds")
    for number, of_one, measured in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for name in measured:
                if name.startswith(arguments.only):
                    print(_line(name, Path(folder), number, of_one), flush=True)


def _line(name: str, folder: Path, number: int, of_one: str) -> str:
    """One line of a table; what is only read is written here, not by the measured process."""
    if name not in _DRIVER:
        for size in (_FIRST, number):
            readers.write_world(folder, size, of_one)
    found = in_fresh_process(name, folder, number)
    parts = ", ".join(f"{part} {value:.1f}" for part, value in found["seconds"].items())
    memory = [found["peak"], found["kept"]]
    total = "".join(f"{value / 1e6:>12.1f}" for value in memory)
    each = "".join(f"{value / number:>12.0f}" for value in memory)
    return f"{name:<28}{number:>12,}{total}{each}{found['latest']:>12.2f}   {parts}"


def _measured(name: str, folder: Path, number: int) -> dict[str, object]:
    measure = _MEASURED[name]
    if name not in _DRIVER:
        measure(folder, _FIRST)
        return measure(folder, number)
    with tempfile.TemporaryDirectory() as first:  # what is imported or set up at first use
        if measure is not driver.plan_and_finish:
            in_fresh_process("driver", Path(first), _FIRST)  # the store that it reads
        measure(Path(first), _FIRST)
    return measure(folder, number)


if __name__ == "__main__":
    main()
