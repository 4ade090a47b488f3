"""Datasets of several layouts, written and resolved."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from colintern.config.schema import DatasetConfig
from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.data.resolve import find_source, made
from colintern.storage import sha256_of_bytes

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path: Path, **columns) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: pa.array([{"bytes": value, "path": None} for value in values], IMAGE)
        if name == "image"
        else pa.array(values)
        for name, values in columns.items()
    }
    pq.write_table(pa.table({n.replace("__", "-"): v for n, v in arrays.items()}), path)


def resolve(path: Path, root: Path, **keys) -> CanonicalDataset:
    dataset = DatasetConfig.model_validate({"path": str(path), **keys})
    return CanonicalDataset(made(find_source(dataset, str(root / "made"))))


def pages_of(dataset: CanonicalDataset) -> dict:
    return {page.page_id: page for file in dataset.corpus_files for _, page in iterate_pages(file)}


def asked(dataset: CanonicalDataset) -> dict[str, set[str]]:
    """Query text to the hashes of its relevant images."""
    hashes = {name: sha256_of_bytes(page.image) for name, page in pages_of(dataset).items()}
    judged = dataset.judgements()
    return {
        query.text: {hashes[page] for page in judged[query.query_id]} for query in dataset.queries()
    }
