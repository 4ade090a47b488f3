"""What is planned is what a run then makes."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from colintern.config.schema import Config, FeaturesConfig, datasets
from colintern.data.canonical import CanonicalDataset
from colintern.errors import ConfigError, DatasetError
from colintern.features.codec import StoredTokens
from colintern.features.store import FeatureStore
from colintern.runs.local import LocalWorkers
from colintern.runs.plan.lines import plan_lines
from colintern.runs.plan.machine import Prices, machine_of
from colintern.runs.plan.make import Plan, Wanted, make_plan
from colintern.runs.runner import open_run
from colintern.runs.stages import Encode
from colintern.training.examples import TrainingSet
from tests.helpers import corpus_of, make_corpus, png
from tests.local_run import make_config

CPU = machine_of("cpu", 1, cores_per_device=1, is_disk=True)
WANTED = Wanted(CPU, Prices())


@pytest.fixture
def config(tmp_path) -> Config:
    """Train with a page twice and a page that is none, a dev set of its own, a test set."""
    images = [*(png(number, 32 + 40 * (number % 3)) for number in range(12)), png(3, 32), b"none"]
    corpus_of(tmp_path / "train", images, num_queries=30)
    make_corpus(tmp_path / "dev", num_pages=5, num_queries=7, first_picture=200)
    make_corpus(tmp_path / "test", num_pages=6, num_queries=8, first_picture=100)
    data = {"dev": str(tmp_path / "dev"), "max_bad_fraction": 0.5}
    return make_config(tmp_path, data=data, training={"global_batch": 8})


SMALL = {"dtype": "int8", "merge": 2, "max_tokens_per_page": 3, "pca_dim": 16}


@pytest.mark.parametrize("features", [{}, SMALL], ids=["plain", "small"])
def test_counts_and_bytes_are_those_of_the_store(config, features):
    """A plan that is off because of copies, bad pages, tiles, merging or how queries are cut."""
    config = config.model_copy(update={"features": FeaturesConfig(**features)})
    plan = make_plan(config, WANTED)
    with open_run(config, [Encode], LocalWorkers()) as runner:
        for dataset in datasets(config.data):
            runner.do(Encode(dataset.name))
        run = runner.run
    total = 0
    for found in plan.datasets:
        store = FeatureStore(run.targets[found.name].path)
        assert found.pages.items == len(store.pages)
        assert found.pages.tokens == store.pages.num_tokens.sum()
        assert found.pages.most_tokens == store.pages.num_tokens.max()
        assert found.queries.items == len(store.queries)
        assert found.queries.tokens == store.queries.num_tokens.sum()
        for items in (store.pages, store.queries):
            read = {}
            for position in range(len(items)):
                row = items.row(position)
                read[row.sha256] = _stored_bytes(items.read([position])[0])
            total += sum(read.values())
    train = plan.datasets[0]
    assert (train.stored_pages.items, train.pages.items, train.num_bad_pages) == (12, 13, 1)
    assert plan.stores[config.features.dtype] == plan.needs.store == total
    view, store = run.catalog.train()
    assert train.num_pairs == len(view.pairs()[0]) + _pairs_of_bad_pages(config)
    assert len(TrainingSet(view, store).view.queries) <= train.num_judged_queries


def _stored_bytes(tokens: StoredTokens) -> int:
    scales = 0 if tokens.scale_T is None else tokens.scale_T.nbytes
    return tokens.values_TK.nbytes + scales


def _pairs_of_bad_pages(config: Config) -> int:
    """Judgements of the page that is none; a plan does not know which pages are judged."""
    judged = CanonicalDataset(config.data.train.path).judgements()
    return sum("p013" in own for own in judged.values())


def test_a_large_corpus_is_sampled_and_says_so(tmp_path):
    """An hour of reading for a plan, or an estimate that looks like a count."""
    make_corpus(tmp_path / "train", num_pages=40, num_queries=10)
    (file,) = (tmp_path / "train" / "corpus").iterdir()
    pq.write_table(pq.read_table(file), file, row_group_size=4)
    config = make_config(tmp_path / "other", data={"train": str(tmp_path / "train")})
    sampled = make_plan(config, replace(WANTED, max_pages=10)).datasets[0]
    assert (sampled.num_looked_at, sampled.is_sampled) == (8, True)
    assert (sampled.pages.items, sampled.pages.tokens) == (40, 40 * 4)
    whole = make_plan(config, WANTED).datasets[0]
    assert (whole.num_looked_at, whole.is_sampled) == (40, False)
    million = make_plan(config, replace(WANTED, num_pages=10**6)).datasets[0]
    assert (million.pages.tokens, million.is_sampled) == (4 * 10**6, True)
    assert million.encode_flops == pytest.approx(
        whole.stored_pages.flops * 25_000 + whole.stored_queries.flops
    )


def test_money_is_reckoned_only_from_prices_that_are_given(config):
    """A made-up price in somebody's budget."""
    plan = make_plan(config, WANTED)
    assert plan.compute_cost is None
    assert plan.storage_cost is None
    assert not any("price" in line for line in plan_lines(plan))
    machine = replace(CPU, num_devices=3)
    priced = make_plan(config, Wanted(machine, Prices(gpu_hour=2.0, terabyte_month=20.0)))
    assert priced.compute_cost == pytest.approx(3 * 2.0 * priced.hours)
    assert priced.storage_cost == pytest.approx(20.0 * priced.needs.store / 1e12)
    assert sum("price" in line for line in plan_lines(priced)) == 2


def _warnings(config: Config, **wanted) -> str:
    return "\n".join(make_plan(config, replace(WANTED, **wanted)).warnings)


def test_what_would_fail_is_warned_about(config):
    """A week of encoding that ends with a full disk, or a search that never fits."""
    assert not make_plan(config, WANTED).warnings
    many = _warnings(config, num_pages=3 * 10**9)
    assert "more than 2,147,483,647 pages" in many
    assert "GB free: set features.root" in many
    large = _warnings(config, num_pages=2 * 10**8, worker_memory=20 * 10**9)
    assert "raise cluster.mining_workers to 10, each on its own" in large
    slow = replace(CPU, read_bytes_per_second=1e3)
    assert "would compute them in" in _warnings(config, machine=slow)
    small = _warnings(config, num_pages=10**6, worker_memory=10**7)
    assert "the driver needs 0.4 GB of 0.0 GB" in small
    assert "what a training worker knows of all pages needs 0.1 GB" in small
    gpu = machine_of("h100", 1, cores_per_device=1, is_disk=True)
    assert "CPU cores for each GPU" in _warnings(config, machine=gpu)


def test_mistakes_are_told_in_a_line(config, tmp_path):
    """A dataset that would have to be written first, by a command that writes nothing."""
    with pytest.raises(ConfigError, match=r"--gpu K80: is not known; choose one of cpu, A10G"):
        machine_of("K80", 1, cores_per_device=1, is_disk=True)
    language = config.data.train.model_copy(update={"language": "en"})
    other = config.model_copy(update={"data": config.data.model_copy(update={"train": language})})
    with pytest.raises(DatasetError, match=r"has to be copied .*colintern ingest"):
        make_plan(other, WANTED)
    assert not (tmp_path / "runs").exists()


def test_the_document_is_json_with_keys_that_stay(config):
    """Scripts that read a key which is gone in the next version."""
    document = json.loads(json.dumps(make_plan(config, WANTED).document()))
    assert set(document) == {
        *Plan.__dataclass_fields__,
        "hours",
        "compute_cost",
        "storage_cost_per_month",
    }
    assert set(document["stores"]) == {"bfloat16", "float16", "int8"}
    assert {"name", "flops", "read_bytes", "num_workers", "seconds"} == set(document["stages"][0])
    names = [stage["name"] for stage in document["stages"]]
    assert names[0] == "encode"
    assert "round-2-mine" in names
    assert np.isfinite([stage["seconds"] for stage in document["stages"]]).all()
