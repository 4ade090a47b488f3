"""What is said of a built-in backbone before it encodes pages that it cannot read."""

import logging
import re
import shutil

import pytest
import torch

from colintern import log
from colintern.config.files import parse_config
from colintern.config.pinned import known
from colintern.config.schema import BackboneConfig, Config
from colintern.data.demo import write_demo
from colintern.data.resolve import with_datasets
from colintern.model.backbone import read_processor
from colintern.model.processor import Processor
from colintern.model.published import internvl3_1b
from colintern.runs import loop, preflight
from colintern.runs.backbone_choice import ADVISED, say_idle_gpu, say_what_the_advised_takes
from colintern.runs.plan import make
from colintern.runs.plan.census import take_census
from colintern.runs.plan.machine import Prices, machine_of
from colintern.runs.plan.make import Wanted, all_sizes, plan_with
from tests.helpers import make_corpus
from tests.local_run import QuickWorkers, make_config

PASTED = f"`colintern download {ADVISED}`, then backbone.path={ADVISED} backbone.revision="


@pytest.fixture(autouse=True)
def _hear(caplog):
    caplog.set_level(logging.INFO, "colintern")


def _config(root, backbone: str, train: str, *tests: str) -> Config:
    data = {"train": {"path": train, "name": "mine"}, "dev": None, "eval": list(tests)}
    run = {"root": str(root / "runs")}
    return parse_config({"run": run, "data": data, "backbone": {"path": backbone}}, "test")


@pytest.fixture
def pages(tmp_path) -> str:
    return make_corpus(tmp_path / "pages", num_pages=24, num_queries=40).path


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ("reader", "reads plain printed English only"),
        ("reader-print", ""),
        ("random", "cannot read"),
        ("/a/model", ""),
    ],
)
def test_a_built_in_backbone_over_other_pages_is_warned_of(
    tmp_path, caplog, pages, backbone, words
):
    """Hours of encoding for figures at the level of chance, and not a word before."""
    preflight.check(_config(tmp_path, backbone, pages))
    assert ("warning: backbone.path=" in caplog.text) == bool(words)
    if words:
        assert words in caplog.text
        assert "; mine is not the demo; for real pages: " in caplog.text
        assert PASTED + known()[ADVISED].revision in caplog.text


def test_the_demo_is_what_the_built_in_backbone_is_for(tmp_path, caplog, pages):
    """A warning at each start of the demo, under its own name or in the folder that it is in."""
    preflight.check(_config(tmp_path, "reader", "demo-small"))
    write_demo(str(tmp_path / "written"), "demo-small", "train")
    shutil.copytree(tmp_path / "written", tmp_path / "copied")
    preflight.check(
        _config(tmp_path, "reader", str(tmp_path / "written"), str(tmp_path / "copied"))
    )
    assert "warning: backbone" not in caplog.text
    preflight.check(_config(tmp_path, "reader", str(tmp_path / "written"), pages))
    assert "; pages is not the demo; " in caplog.text


def test_the_demo_in_the_folder_that_it_was_written_to_is_not_warned_of(tmp_path, caplog):
    """Three warnings at each start of the demo: its splits have no effect in its own folder."""
    say_what_the_advised_takes(with_datasets(_config(tmp_path, "reader", "demo-small")))
    assert "warning" not in caplog.text
    assert ADVISED not in caplog.text


def test_what_the_other_takes_is_what_its_plan_says(tmp_path, caplog, pages):
    """A second estimate that is not that of `colintern plan`; nothing about time at all."""
    config = with_datasets(_config(tmp_path, "reader", pages))
    say_what_the_advised_takes(config)
    backbone, processor = internvl3_1b(6, 5), read_processor(config.backbone)
    machine = machine_of("H100", 1, cores_per_device=1, is_disk=True)
    other = config.model_copy(update={"backbone": BackboneConfig(path=ADVISED, max_tiles=6)})
    wanted = Wanted(machine, Prices())
    plan = plan_with(other, wanted, backbone, all_sizes(other, wanted, backbone, processor))
    size = log.size_text(plan.stores["bfloat16"])
    found = re.search(
        rf"with {ADVISED}: (.+) to encode and (.+) in all on 1 CPU worker as here; "
        rf"(.+) to encode and (.+) in all on one H100; {size} of features",
        caplog.text,
    )
    assert found, caplog.text
    assert found[3] == f"{plan.stages[0].seconds:,.1f} s"
    assert found[4] == f"{plan.hours * 3_600:,.1f} s"
    assert all(words.endswith((" s", " min", " h")) for words in found.groups())


def test_advice_ends_no_run_and_looks_at_little(tmp_path, caplog, monkeypatch):
    """A run that ends for a sentence about another model, or waits while all is counted, twice."""
    pages = make_corpus(tmp_path / "pages", num_pages=60, num_queries=90).path
    config = with_datasets(_config(tmp_path, "reader", pages))
    looked, cut, query_tokens = [], [], Processor.query_tokens

    def counted(dataset, settings, max_pages):
        looked.append(max_pages)
        return take_census(dataset, settings, max_pages)

    def tokens(*given):
        cut.append(given)
        return query_tokens(*given)

    monkeypatch.setattr(make, "take_census", counted)
    monkeypatch.setattr(Processor, "query_tokens", tokens)
    say_what_the_advised_takes(config)
    assert looked == [50]
    assert len(cut) == 50
    assert f"with {ADVISED}" in caplog.text
    monkeypatch.setattr(make, "take_census", lambda *_: 1 / 0)
    say_what_the_advised_takes(config)
    assert f"with {ADVISED}: what it would take could not be reckoned (division" in caplog.text


def test_the_advised_model_has_the_published_sizes():
    """An estimate for another model: 1,792 tokens of 896 numbers and 6.6 TFLOP an A4 page."""
    found = internvl3_1b(max_tiles=6, prompt_tokens=10)
    assert found.width == 896
    assert found.num_page_tokens(1_654, 2_339) == 1_792
    padded = internvl3_1b(max_tiles=24, prompt_tokens=10, pad_to_grid=True)
    assert padded.num_page_tokens(1_700, 2_200) == 6_400  # letter: 24 tiles and the thumbnail
    assert found.flops.page(1_792) / 1e12 == pytest.approx(6.6, rel=0.02)


def test_it_is_said_before_encoding_only(tmp_path, caplog):
    """The same advice at each start of a run that is encoded, or none at its first start."""
    config = make_config(tmp_path, backbone={"path": "random"}, loop={"max_rounds": 1})
    loop.run(config, QuickWorkers())
    lines = [record.getMessage() for record in caplog.records]
    told = [number for number, line in enumerate(lines) if f"with {ADVISED}" in line]
    began = [number for number, line in enumerate(lines) if line.startswith("encode ")]
    assert len(told) == 1
    assert told[0] < began[0]
    assert len([line for line in lines if "train, test are not the demo" in line]) == 1
    caplog.clear()
    log.lines._warned.clear()
    loop.run(config, QuickWorkers())
    assert ADVISED not in caplog.text


@pytest.mark.parametrize("use_gpu", [True, False])
@pytest.mark.parametrize("has_gpu", [True, False])
def test_a_gpu_that_stays_idle_is_told(monkeypatch, caplog, tmp_path, use_gpu, has_gpu):
    """Days on a CPU beside a GPU, as `use_gpu` is false where nothing is said."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA L4")
    say_idle_gpu(make_config(tmp_path, cluster={"use_gpu": use_gpu}))
    told = "has a CUDA device (NVIDIA L4) and cluster.use_gpu=false leaves it idle; set"
    assert (told in caplog.text) == (has_gpu and not use_gpu)
