"""A finished run for baselines, and copies of it to write into."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.runs import loop
from tests.local_run import QuickWorkers, make_config


@pytest.fixture
def root(root, tmp_path) -> Path:
    """A copy of the finished run, `runs/run`, that knows the datasets' place; no baselines."""
    shutil.copytree(root / "runs", tmp_path / "runs")
    return tmp_path


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A folder of small random models; nothing is written into it later."""
    pytest.importorskip("sentence_transformers")
    from tests.retrieval.baselines import tiny_models

    folder = tmp_path_factory.mktemp("models")
    tiny_models.single_vector(folder / "single")
    tiny_models.multi_vector(folder / "multi")
    tiny_models.sees_images(folder / "seeing")
    return folder


@pytest.fixture(scope="session")
def _made_with_texts(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("with_texts")
    config = make_config(root)
    for dataset, without in (("train", set()), ("test", {5})):
        file = root / dataset / "corpus" / "part-00000.parquet"
        table = pq.read_table(file)
        texts = [None if n in without else f"answer {n}, to {n * n}." for n in range(len(table))]
        if "text" in table.column_names:
            table = table.drop_columns("text")
        pq.write_table(table.append_column("text", pa.array(texts, pa.string())), file)
    loop.run(config, QuickWorkers())
    return root


@pytest.fixture
def run_with_texts(_made_with_texts, tmp_path) -> str:
    """A run folder as `run`; but for page p005 of `test` all pages have a text."""
    shutil.copytree(_made_with_texts / "runs", tmp_path / "with_texts")
    return str(tmp_path / "with_texts" / "run")
