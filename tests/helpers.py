"""Small corpora and feature stores made in the test itself."""

import io
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from colintern import cli, records
from colintern.config.files import parse_config
from colintern.config.schema import Config, EvaluationConfig, HeadsConfig, MiningConfig
from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.data.columns import strings
from colintern.data.entities import Judgement, Page, Query
from colintern.data.judgements import Judgements
from colintern.data.queries import Queries
from colintern.data.triples import Triple
from colintern.data.views import KnownIds, View, make_view
from colintern.data.writing import write_dataset
from colintern.evaluation.evaluate import evaluate
from colintern.evaluation.results import SCHEMA
from colintern.features.catalog import Catalog
from colintern.features.codec import StoredTokens
from colintern.features.manifest import PAGE_SCHEMA, QUERY_SCHEMA
from colintern.features.shard_file import write_shard
from colintern.images.decode import decode
from colintern.images.pixels import pixels_sha256
from colintern.mining.miner import Corpus, mine
from colintern.model.heads import Heads, init_heads
from colintern.scoring.queries import EmbeddedQueries
from colintern.search.shards import Shards
from colintern.storage import sha256_of_bytes

WIDTH = 24  # H of the made-up features


@dataclass(frozen=True)
class CorpusFolder:
    """A canonical dataset folder, and the store of its features if it has one."""

    path: str
    store: str = ""
    dev: "CorpusFolder | None" = None

    @property
    def config(self) -> Config:
        """A configuration that trains and tests on this one folder, and develops on `dev`."""
        entry = {"path": self.path}
        return parse_config(
            {
                "data": {
                    "train": {**entry, "name": "train"},
                    "dev": self.dev and self.dev.path,
                    "eval": [{**entry, "name": "test"}],
                }
            },
            "test",
        )

    @property
    def catalog(self) -> Catalog:
        """The folders of `config` with their stores."""
        stores = {"train": self.store, "test": self.store}
        if self.dev:
            stores["dev"] = self.dev.store
        return Catalog(self.config.data, 0, stores)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_main(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """What the command line does with these words: its exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["colintern", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


def png(seed: int, width: int = 32, height: int = 32, compress_level: int = 6) -> bytes:
    """A noisy picture; a seed gives the same pixels always, and the same bytes at one level."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def make_corpus(
    folder: Path, num_pages: int, num_queries: int, first_picture: int = 0
) -> CorpusFolder:
    """Query i asks for page i modulo the pages; pages 0 and 1 are the same image."""
    images = [png(first_picture + max(number, 1)) for number in range(num_pages)]
    return corpus_of(folder, images, num_queries)


def corpus_of(folder: Path, images: Sequence[bytes], num_queries: int) -> CorpusFolder:
    """Pages with these images, four a document; query i asks for page i modulo the pages."""
    num_pages = len(images)
    pages = [
        Page(f"p{number:03d}", image, doc_id=f"d{number // 4}")
        for number, image in enumerate(images)
    ]
    queries = [
        Query(f"q{number:03d}", f"question {number} of many", "en", None)
        for number in range(num_queries)
    ]
    judgements = [
        Judgement(query.query_id, pages[number % num_pages].page_id, 1)
        for number, query in enumerate(queries)
    ]
    write_dataset(str(folder), pages, queries, judgements)
    return CorpusFolder(str(folder))


def add_queries(folder: Path, texts: dict[str, str]) -> set[str]:
    """Further queries, the n-th judged for page n; returns the ids of all that are judged."""
    queries, qrels = (folder / part / "part-00000.parquet" for part in ("queries", "qrels"))
    table = pq.read_table(queries)
    columns = {"query-id": list(texts), "query": list(texts.values())}
    nothing = dict.fromkeys(set(table.column_names) - set(columns), [None] * len(texts))
    more = pa.table({**columns, **nothing}).select(table.column_names).cast(table.schema)
    pq.write_table(pa.concat_tables([table, more]), queries)
    table = pq.read_table(qrels)
    judged = [{"query-id": q, "corpus-id": f"p{n:03d}", "score": 1} for n, q in enumerate(texts)]
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist(judged, table.schema)]), qrels)
    return set(pq.read_table(qrels)["query-id"].to_pylist())


def make_store(corpus: CorpusFolder, folder: Path) -> CorpusFolder:
    """Features that heads can learn from: a query's tokens are its page's, turned and noisy.

    Equal pixels have equal features, filed under the hash of each page's bytes.
    """
    dataset = CanonicalDataset(corpus.path)
    draw = torch.Generator().manual_seed(0)
    pages: dict[str, torch.Tensor] = {}
    by_pixels: dict[str, torch.Tensor] = {}
    page_rows, query_rows, queries = [], [], {}
    for _, page in iterate_pages(dataset.corpus_files[0]):
        sha256 = sha256_of_bytes(page.image)
        tokens = 5 + int(page.page_id[1:]) % 4
        pixels = pixels_sha256(decode(page.image))
        by_pixels.setdefault(pixels, torch.randn(tokens, WIDTH, generator=draw).bfloat16())
        pages[sha256] = by_pixels[pixels].clone()
        row = (page.page_id, sha256, "shard-0.safetensors", len(pages[sha256]))
        page_rows.append((*row, page.doc_id, 32, 32, 1, 1, pixels))
    hashes = {page_id: sha256 for page_id, sha256, *_ in page_rows}
    judgements = dataset.judgements()
    for query in dataset.queries():
        own = pages[hashes[next(iter(judgements[query.query_id]))]].float()
        noisy = own[:4] @ _turn() + 0.3 * torch.randn(4, WIDTH, generator=draw)
        sha256 = sha256_of_bytes(query.text.encode())
        queries[sha256] = noisy.bfloat16()
        query_rows.append((query.query_id, sha256, "shard-0.safetensors", 4))
    write_shard(str(folder / "pages" / "shard-0.safetensors"), stored(pages), {}, "float32")
    write_shard(str(folder / "queries" / "shard-0.safetensors"), stored(queries), {}, "float32")
    for part, schema, rows in (
        ("pages", PAGE_SCHEMA, page_rows),
        ("queries", QUERY_SCHEMA, query_rows),
    ):
        table = pa.Table.from_pylist(
            [dict(zip(schema.names, r, strict=True)) for r in rows], schema
        )
        pq.write_table(table, folder / part / "manifest.parquet", compression="zstd")
    records.write_record(str(folder / "record.json"), str(folder), {}, [], records.now())
    return replace(corpus, store=str(folder))


def stored(tensors: Mapping[str, torch.Tensor]) -> dict[str, StoredTokens]:
    """Item hash to tokens of a type that is stored as it is."""
    return {name: StoredTokens(tensor) for name, tensor in tensors.items()}


def view_of(
    page_ids: Sequence[str],
    queries: Sequence[Query],
    judgements: Mapping[str, Mapping[str, int]],
    name: str = "test",
    encoded: Sequence[str] | None = None,
) -> View:
    """A view of these pages, in a store that has no others; all queries are encoded, or some."""
    pages = KnownIds(strings(sorted(page_ids)))
    known = None if encoded is None else KnownIds(strings(sorted(encoded)))
    judged = Judgements.from_mapping(judgements)
    return make_view(name, pages, np.arange(len(page_ids)), Queries.of(queries), judged, known)


def pairs_of(view: View) -> list[tuple[str, str]]:
    """The training examples of a view by their ids."""
    query_ids, page_ids = view.query_ids.to_pylist(), view.stored_ids.to_pylist()
    queries, pages = view.pairs()
    return [(query_ids[q], page_ids[page]) for q, page in zip(queries, pages, strict=True)]


def mined(
    corpus: Corpus, shards: Shards, queries: EmbeddedQueries, settings: MiningConfig, seed: int = 0
) -> tuple[list[Triple], dict[str, Any]]:
    """What `mine` writes, and what it returns."""
    triples: list[Triple] = []
    found = mine(corpus, shards, queries, settings, seed, triples.append, lambda _: None)
    return triples, found


def measured(
    view: View,
    shards: Shards,
    queries: EmbeddedQueries,
    settings: EvaluationConfig | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """What `evaluate` writes, and what it returns."""
    parts = [SCHEMA.empty_table()]
    document = evaluate(
        view,
        shards,
        queries,
        settings or EvaluationConfig(),
        round_number=0,
        seed=0,
        write=parts.append,
        on_progress=lambda _: None,
    )
    return pa.concat_tables(parts), document


def knowing_heads(dim: int) -> Heads:
    """Heads that undo the turn between the queries and pages of `make_store`, as if trained."""
    heads = init_heads(HeadsConfig(dim=dim), WIDTH, seed=3)
    with torch.no_grad():
        heads.query.weight.copy_(heads.page.weight @ _turn())
    return heads


def _turn() -> torch.Tensor:
    """An orthogonal matrix [H, H]."""
    noise = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1))
    return torch.linalg.qr(noise).Q
