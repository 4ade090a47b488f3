"""What has become of a dataset since it was encoded: for a person, and only when it has changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from colintern import storage
from colintern.data import digests
from colintern.data.canonical import CanonicalDataset
from colintern.data.columns import find
from colintern.data.compute import pc
from colintern.data.parquet import open_parquet, stream_columns
from colintern.features.manifest import Manifest, open_manifest
from colintern.features.store import BAD_PAGES, PAGES, QUERIES

_IMAGE_HASH = "sha256"  # a column of the parts that ingest writes


@dataclass(frozen=True)
class DatasetChanges:
    """How many pages and questions a dataset has gained and lost, and how many pages differ.

    Attributes:
        changed_pages: with the same id and another image, as far as the corpus tells the hashes of
            its images.
    """

    gained_pages: int
    gained_questions: int
    lost_pages: int
    lost_questions: int
    changed_pages: int

    def told(self) -> str | None:
        """For a person, after "the dataset has"; None where it does not differ in these."""
        words = [
            (self.gained_pages, self.gained_questions, "gained"),
            (self.lost_pages, self.lost_questions, "lost"),
        ]
        told = []
        for num_pages, num_questions, verb in words:
            counts = ((num_pages, "page"), (num_questions, "question"))
            found = " and ".join(_counted(count, noun) for count, noun in counts if count)
            if found:
                told.append(f"{verb} {found}")
        if self.changed_pages:
            told.append(f"other images for {_counted(self.changed_pages, 'page')}")
        return ", ".join(told) or None


def changes_since(path: str, store: str, manifests: Mapping[str, str]) -> DatasetChanges:
    """Hold a dataset as it is now against what was encoded of it.

    Args:
        path: the dataset.
        store: its features.
        manifests: `pages` and `queries` to the hash of their manifest at that time.

    Raises:
        MissingStageError: a manifest is gone.
    """
    dataset = CanonicalDataset(path)
    pages, queries = (
        open_manifest(storage.join(store, part), manifests[part]) for part in (PAGES, QUERIES)
    )
    columns = [batch.column(0) for batch in stream_columns(dataset.corpus_files, ["corpus-id"])]
    page_ids = pa.chunked_array(columns, pa.string()).unique()
    new_pages = page_ids.filter(pa.array(find(page_ids, pages.ids) < 0))
    known_bad = pc.is_in(new_pages, value_set=_bad_pages(store))  # had no features then either
    query_ids = dataset.asked.ids
    return DatasetChanges(
        gained_pages=len(new_pages) - int(pc.sum(known_bad).as_py() or 0),
        gained_questions=_num_missing(query_ids, queries.ids),
        lost_pages=_num_missing(pages.ids, page_ids),
        lost_questions=_num_missing(queries.ids, query_ids),
        changed_pages=_num_changed(dataset, pages),
    )


def has_same_pages(path: str, store: str, manifest_sha256: str) -> bool:
    """Whether a corpus has just the pages that were encoded of it, whatever its files are now.

    So it is when they were written again with something that no page is known by: its text. Its
    document is not such a thing: mining and the dev set go by documents.

    Args:
        path: the dataset.
        store: its features.
        manifest_sha256: the hash of the manifest of its pages.

    Returns:
        False too where the corpus does not tell the hashes of its images.

    Raises:
        MissingStageError: the manifest is gone.
    """
    dataset = CanonicalDataset(path)
    pages = open_manifest(storage.join(store, PAGES), manifest_sha256)
    num_pages = 0
    for file in dataset.corpus_files:
        with open_parquet(file, ["corpus-id"]) as parquet:
            names = {"corpus-id", _IMAGE_HASH, "doc-id"} & set(parquet.schema_arrow.names)
            if not {"corpus-id", _IMAGE_HASH} <= names:
                return False
            for batch in parquet.iter_batches(columns=sorted(names)):
                hashes, is_valid = digests.parse(batch[_IMAGE_HASH])
                position = find(batch["corpus-id"], pages.ids)
                is_same = is_valid & (position >= 0)
                is_same &= (pages.hashes[position] == hashes).all(axis=1)
                if not is_same.all() or not _has_documents(batch, pages, position):
                    return False
                num_pages += len(position)
    return num_pages == len(pages.ids)


def _has_documents(batch: pa.RecordBatch, pages: Manifest, position: np.ndarray) -> bool:
    """Whether pages, which are those at `position`, still belong to the same documents."""
    number = pages.documents[position]
    before = pages.document_ids.take(pa.array(number, mask=number < 0)).to_pylist()
    if "doc-id" not in batch.schema.names:
        return not any(before)
    return batch["doc-id"].cast(pa.string()).to_pylist() == before


def _num_missing(ids: pa.Array, other: pa.Array) -> int:
    """How many of `ids` are not among the others."""
    is_there = pc.is_in(ids, value_set=other.cast(ids.type))
    return len(ids) - int(pc.sum(is_there).as_py() or 0)


def _bad_pages(store: str) -> pa.Array:
    path = storage.join(store, BAD_PAGES)
    lines = storage.read_bytes(path).splitlines() if storage.exists(path) else []
    return pa.array([json.loads(line)["page_id"] for line in lines], pa.string())


def _num_changed(dataset: CanonicalDataset, pages: Manifest) -> int:
    """How many pages have another image than the encoded one, by hashes that the corpus tells."""
    count = 0
    for file in dataset.corpus_files:
        with open_parquet(file, ["corpus-id"]) as parquet:
            if not {"corpus-id", _IMAGE_HASH} <= set(parquet.schema_arrow.names):
                continue
            for batch in parquet.iter_batches(columns=["corpus-id", _IMAGE_HASH]):
                hashes, is_valid = digests.parse(batch[_IMAGE_HASH])
                position = find(batch["corpus-id"], pages.ids)
                known = (position >= 0) & is_valid
                before = pages.hashes[position[known]]
                count += int(np.any(before != hashes[known], axis=1).sum())
    return count


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
