"""What ingest and reading cost beside the bare libraries, and whether memory grows with the corpus.

`python benchmarks/data.py` prints pages per second and peak memory of `colintern ingest` on PDFs at
144 dpi with one process, against a loop of PDFium and JPEG over the same pages; and of streaming a
parquet corpus, against pyarrow's own scan. Each measurement is a process of its own; the two sides
alternate; medians are shown. Rates are those of the pages by which a corpus of four times the size
is larger, so that start-up is apart. `--pdf FOLDER` takes PDFs of your own as the smaller corpus.
"""

import argparse
import io
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

MEGABYTE = 2**20


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Ingest and reading against the bare libraries.")
    parser.add_argument("--pages", type=int, default=120, help="of the smaller corpus")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pdf", type=Path, help="a folder of PDFs; default: made here")
    parser.add_argument("--measure", choices=sorted(MEASURED), help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(_measured(MEASURED[arguments.measure], arguments.source)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = arguments.pdf or folder / "small", folder / "large"
        if not arguments.pdf:
            _make_pdfs(small, arguments.pages)
        for copy in range(4):
            shutil.copytree(small, large / str(copy))
        print(
            f"{'':<24}{'pages/s':>9}{'bare':>9}{'ratio':>7}{'start s':>10}{'peak MiB':>10}"
            f"{'4 x pages':>11}"
        )
        _row("ingest PDF, 144 dpi", "ingest", "pdfium", small, large, arguments.runs)
        for source in (small, large):
            _ingest(source, folder / f"{source.name}-set")
        small, large = (folder / f"{source.name}-set" for source in (small, large))
        _row("read parquet corpus", "stream", "scan", small, large, arguments.runs)


def _row(title: str, ours: str, bare: str, small: Path, large: Path, runs: int) -> None:
    rates: dict[str, list[float]] = {ours: [], bare: []}
    starts, peaks = [], []
    for _ in range(runs):
        for kind in (ours, bare):
            few, many = (_in_a_process(kind, source) for source in (small, large))
            rate = (many["pages"] - few["pages"]) / (many["seconds"] - few["seconds"])
            rates[kind].append(rate)
            if kind == ours:
                starts.append(few["seconds"] - few["pages"] / rate)
                peaks.append((few["peak"] / MEGABYTE, many["peak"] / MEGABYTE))
    rate, bare_rate = (statistics.median(rates[kind]) for kind in (ours, bare))
    few_peak, many_peak = (statistics.median(values) for values in zip(*peaks, strict=True))
    print(
        f"{title:<24}{rate:>9.1f}{bare_rate:>9.1f}{rate / bare_rate:>7.2f}"
        f"{statistics.median(starts):>10.1f}{few_peak:>10.0f}{many_peak:>11.0f}",
        flush=True,
    )


def _in_a_process(kind: str, source: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", kind, "--source", str(source)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measured(work: Callable[[Path], int], source: Path) -> dict[str, float]:
    began = time.monotonic()
    pages = work(source)
    seconds = time.monotonic() - began
    peaks = [resource.getrusage(who).ru_maxrss for who in (-1, 0)]  # children, then ourselves
    return {"pages": pages, "seconds": seconds, "peak": max(peaks) * 1024}


def _ingest_into_nowhere(source: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return _ingest(source, Path(folder) / "out")


def _ingest(source: Path, out: Path) -> int:
    from colintern.ingestion import IngestSettings, ingest

    return ingest([str(source)], str(out), IngestSettings(num_processes=1)).pages


def _pdfium(source: Path) -> int:
    import pypdfium2 as pdfium

    pages = 0
    for path in sorted(source.rglob("*.pdf")):
        document = pdfium.PdfDocument(path)
        for page in document:
            picture = page.render(scale=144 / 72).to_pil().convert("RGB")  # pyright: ignore
            picture.save(io.BytesIO(), "JPEG", quality=92)
            pages += 1
        document.close()
    return pages


def _stream(source: Path) -> int:
    from colintern.data.canonical import CanonicalDataset, iterate_pages

    files = CanonicalDataset(str(source)).corpus_files
    return sum(len(page.image) > 0 for file in files for _, page in iterate_pages(file))


def _scan(source: Path) -> int:
    import pyarrow.parquet as pq

    pages = 0
    for path in sorted((source / "corpus").glob("*.parquet")):
        with pq.ParquetFile(path) as parquet:
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group, columns=["corpus-id", "image"])
                pages += sum(len(image["bytes"]) > 0 for image in table["image"].to_pylist())
    return pages


MEASURED = {
    "ingest": _ingest_into_nowhere,
    "pdfium": _pdfium,
    "stream": _stream,
    "scan": _scan,
}


def _make_pdfs(folder: Path, num_pages: int) -> None:
    """Letter pages full of text, forty a file."""
    import matplotlib as mpl

    mpl.use("pdf")
    from matplotlib import pyplot
    from matplotlib.backends.backend_pdf import PdfPages

    from colintern.data.demo.prose import passages

    prose = " ".join(passage.text for passage in passages()["train"]).split()
    folder.mkdir(parents=True)
    for first in range(0, num_pages, 40):
        with PdfPages(folder / f"{first:06d}.pdf") as pdf:
            for number in range(first, min(first + 40, num_pages)):
                start = number * 480 % (len(prose) - 480)
                rows = [
                    " ".join(prose[start + row * 12 : start + row * 12 + 12]) for row in range(40)
                ]
                figure = pyplot.figure(figsize=(8.5, 11))
                figure.text(0.08, 0.95, "\n".join(rows), va="top", fontsize=9)
                pdf.savefig(figure)
                pyplot.close(figure)


if __name__ == "__main__":
    main()
