"""The baseline of another model: encoded in files, searched, judged, recorded."""

import logging
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("sentence_transformers")

from sentence_transformers import SentenceTransformer

from colintern import storage
from colintern.cli import app
from colintern.data.canonical import CanonicalDataset
from colintern.data.page_rows import page_locations
from colintern.errors import UserError
from colintern.evaluation.results import read_results
from colintern.images.decode import decode
from colintern.records.run_folder import RunFolder
from colintern.retrieval import at_work
from colintern.retrieval.baselines import models as baselines
from colintern.retrieval.baselines.frame import BaselineError, measured_run
from colintern.retrieval.baselines.models import measure_model
from colintern.runs.local import LocalWorkers
from colintern.runs.status import table_lines
from colintern.runtime.workers import ray_workers


def _measure(run: str, model: Path, workers=None, **options):
    with measured_run(run) as measured:
        return measure_model(measured, str(model), workers=workers or LocalWorkers(), **options)


def _copy(run: str, root: Path) -> str:
    """The same run elsewhere, with its stores."""
    return str(shutil.copytree(Path(run).parent, root) / "run")


def _found(run: str, name: str, dataset: str = "test") -> list[dict]:
    return read_results(RunFolder(run).baseline_results(name, dataset)).to_pylist()


def _files(run: str, name: str) -> dict[str, bytes]:
    folder = Path(RunFolder(run).baseline(name))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_model_that_sees_ranks_the_page_images(run, root, models):
    """Pages decoded otherwise than for our own model, or under another page's id."""
    documents = _measure(run, models / "seeing")
    assert [document["dataset"] for document in documents] == ["dev", "test"]
    about, protocol = documents[1]["baseline"], documents[1]["protocol"]
    assert [about[key] for key in ("name", "kind", "reads")] == ["seeing", "model", "images"]
    assert protocol["score"] == "cosine of one vector each"
    assert protocol["encoding"] == {
        "device": "cpu",
        "compute_dtype": "float32",
        "attention_kernel": "sdpa",
        "image_processor": "CLIPImageProcessorPil",
        "pages": "images",
    }
    test = next(d for d in RunFolder(run).read().config.data.eval if d.name == "test")
    dataset = CanonicalDataset(test.path)
    images = dataset.images(set(dataset.page_ids().to_pylist()))
    model = SentenceTransformer(str(models / "seeing"), device="cpu", local_files_only=True)
    page_DE = model.encode_document([decode(image) for image in images.values()])
    query_BE = model.encode_query([query.text for query in dataset.queries()])
    scores = model.similarity(query_BE, page_DE)
    wanted = {
        (query.query_id, page_id): float(score)
        for query, row in zip(dataset.queries(), scores, strict=True)
        for page_id, score in zip(images, row, strict=True)
    }
    found = {(row["query_id"], row["page_id"]): row["score"] for row in _found(run, "seeing")}
    assert found == pytest.approx(wanted, abs=1e-6)
    assert any("seeing" in line for line in table_lines(run))


@pytest.mark.parametrize("name", ["single", "multi"])
def test_a_model_that_reads_gets_texts(run_with_texts, models, name, caplog):
    """A page without a text among the found; a text under another page's id."""
    caplog.set_level(logging.INFO, "colintern")
    (document,) = _measure(run_with_texts, models / name, datasets=["test"])
    assert document["baseline"]["reads"] == "texts"
    assert document["baseline"]["pages_with_text"] == 5
    assert "test: 1 of its 6 pages have no text" in caplog.text
    found = _found(run_with_texts, name)
    assert {row["page_id"] for row in found} == {f"p{n:03d}" for n in range(5)}
    assert len(found) == 8 * 5


def test_a_corpus_without_texts_is_refused_by_a_model_that_reads(run, models):
    """Figures of a model that has read nothing."""
    with pytest.raises(BaselineError, match="none of the 24 pages of dev has a text; ingest"):
        _measure(run, models / "single")


class _Killed(Exception):
    pass


class _KilledWorkers(LocalWorkers):
    """Die in a job of several parts, after `left` of them."""

    def __init__(self, left: int) -> None:
        self.left = left

    def make_parts(self, job, config, held):
        parts = [part for part in job.parts if part in job.missing()]
        for part in parts:
            if len(job.parts) > 1 and self.left == 0:
                raise _Killed
            self.left -= len(job.parts) > 1
            job.open_maker("cpu")(part)


def test_killed_and_run_again_it_is_as_if_undisturbed(
    run_with_texts, models, tmp_path, monkeypatch
):
    """Pages encoded twice or never, other bytes, a record of half a corpus."""
    monkeypatch.setattr(baselines, "_PAGES_PER_FILE", 4)
    other = _copy(run_with_texts, tmp_path / "other")
    with pytest.raises(_Killed):
        _measure(run_with_texts, models / "multi", _KilledWorkers(3))
    half = _files(run_with_texts, "multi")
    assert sum("vectors" in name for name in half) == 3
    assert not any("eval" in name for name in half)
    _measure(run_with_texts, models / "multi")
    _measure(other, models / "multi")
    whole = _files(run_with_texts, "multi")
    assert whole == _files(other, "multi")
    assert half.items() <= whole.items()
    assert sum("pages-" in name for name in whole) == 6 + 2


def _in_reverse(files):
    return reversed(list(page_locations(files)))


@pytest.mark.parametrize(
    ("name", "value"), [("_PAGES_PER_FILE", 5), ("page_locations", _in_reverse)]
)
def test_files_of_other_pages_are_not_taken_for_these(
    run_with_texts, models, tmp_path, monkeypatch, name, value
):
    """Pages in two files, or in none, after an update, or when the corpus was ingested again."""
    other = _copy(run_with_texts, tmp_path / "other")
    monkeypatch.setattr(baselines, "_PAGES_PER_FILE", 4)
    with pytest.raises(_Killed):
        _measure(run_with_texts, models / "multi", _KilledWorkers(3))
    monkeypatch.setattr(baselines, name, value)
    _measure(run_with_texts, models / "multi")
    _measure(other, models / "multi")
    for dataset in ("dev", "test"):
        assert _found(run_with_texts, "multi", dataset) == _found(other, "multi", dataset)


def test_it_does_not_go_on_on_other_hardware(run_with_texts, models):
    """Pages in bfloat16 of a GPU and pages in float32 of a CPU, under the protocol of one."""
    with pytest.raises(_Killed):
        _measure(run_with_texts, models / "multi", _KilledWorkers(1))
    path = storage.join(RunFolder(run_with_texts).baseline("multi"), "model.json")
    storage.write_json(path, {**storage.read_json(path), "device": "cuda", "dtype": "bfloat16"})
    said = "begun with dtype=bfloat16, device=cuda, and would go on with dtype=float32, device=cpu"
    with pytest.raises(BaselineError, match=said) as raised:
        _measure(run_with_texts, models / "multi")
    assert "\n" not in str(raised.value)


def test_what_is_measured_is_not_made_again(run, models, caplog):
    """A model of hours that runs again, after its vectors were deleted to save space."""
    before = _measure(run, models / "seeing")
    shutil.rmtree(Path(RunFolder(run).baseline("seeing")) / "vectors")
    workers = LocalWorkers()
    workers.make_parts = lambda job, *_: pytest.fail("made again") if job.parts else None
    assert _measure(run, models / "seeing", workers) == before


def test_another_model_under_the_same_name_is_refused(run, models, tmp_path):
    """Figures of two models in one row."""
    _measure(run, models / "seeing", name="mine")
    other = shutil.copytree(models / "seeing", tmp_path / "seeing")
    _measure(run, other, name="mine")  # a copy is the same model
    (other / "modules.json").write_text((other / "modules.json").read_text() + " ")
    with pytest.raises(BaselineError, match="--name mine: is the name of the baseline of another"):
        _measure(run, other, name="mine")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "nowhere"], "--model nowhere: no such folder"),
        (["--model", "{models}"], "no model of sentence-transformers"),
        (["--model", "{models}/seeing", "--name", "bm25"], "built-in baseline"),
        (["--model", "{models}/seeing", "--name", "a/b"], "not a valid name"),
        (["--model", "{models}/seeing", "--dataset", "x"], "it has dev, test"),
        (["--name", "x"], "--model, which is missing"),
    ],
)
def test_mistakes_are_told_in_one_line(run, models, options, told):
    """A traceback, or another exit code."""
    asked = [option.format(models=models) for option in options]
    with pytest.raises(UserError, match=told) as raised:
        app(["baseline", run, *asked], standalone_mode=False)
    assert "\n" not in str(raised.value)


def test_the_command_measures_shows_and_reports(run, models, monkeypatch, capsys):
    """A run that is named from where one stands; figures that stand in no table and no report."""
    places = set()

    class Here(LocalWorkers):
        def make_parts(self, job, config, held):
            places.update([held.folder, *(part.path for part in job.parts)])
            super().make_parts(job, config, held)

    monkeypatch.setattr(at_work, "ray_workers", lambda *_: nullcontext(Here()))
    monkeypatch.chdir(Path(run).parent)
    app(
        ["baseline", "run", "--model", str(models / "seeing"), "--name", "x"], standalone_mode=False
    )
    assert capsys.readouterr().out.splitlines() == table_lines(run)
    assert [line.split()[:2] for line in table_lines(run) if " x " in line]
    assert storage.read_bytes(RunFolder(run).report).decode().count('<tr class="baseline">') == 2
    assert all(Path(place).is_absolute() for place in places)  # workers stand elsewhere


@pytest.mark.ray
def test_any_number_of_workers_writes_the_same_bytes(
    run_with_texts, models, tmp_path, monkeypatch, ray_cluster
):
    """Vectors that depend on who encodes them, and how many there are."""
    monkeypatch.setattr(baselines, "_PAGES_PER_FILE", 4)
    here, on_ray = (_copy(run_with_texts, tmp_path / name) for name in ("here", "ray"))
    _measure(here, models / "multi")
    with measured_run(on_ray) as measured:
        config = measured.run.config
        two = config.cluster.model_copy(update={"encode_workers": 2})
        measured.run = replace(measured.run, config=config.model_copy(update={"cluster": two}))
        with ray_workers(measured.run.config, []) as workers:
            measure_model(measured, str(models / "multi"), workers=workers)
    assert _files(here, "multi") == _files(on_ray, "multi")
