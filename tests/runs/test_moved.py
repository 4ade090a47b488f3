"""A root that is moved, copied or linked: all that stands in it stays done, and is found."""

import json
import shutil
from pathlib import Path

import pytest

from colintern import records, storage
from colintern.config.schema import Config
from colintern.errors import DatasetError, DriftError, ReportKeptError
from colintern.records.run_folder import RunFolder
from colintern.runs import loop
from colintern.runs.compare.make import compare
from colintern.runs.continuing import continued_config
from colintern.runs.runner import open_run
from colintern.runs.stages.report import write_report
from colintern.runs.status import status_lines
from tests.helpers import make_corpus
from tests.local_run import NoWorkers, QuickWorkers, make_config, search


def _config(root: Path, is_inside: bool, **sections) -> Config:
    """A run whose datasets stand in `run.root` itself, or in `root` beside it."""
    place = root if is_inside else root / "runs"
    return make_config(root, run={"name": "run", "root": str(place)}, **sections)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> dict[bool, Path]:
    """Roots with a finished run, by whether the datasets stand in `run.root`."""
    roots = {is_inside: tmp_path_factory.mktemp("finished") for is_inside in (True, False)}
    for is_inside, root in roots.items():
        loop.run(_config(root, is_inside), QuickWorkers())
    return roots


def _as_earlier(root: Path) -> None:
    """Turn all records into those of earlier versions, which call datasets by their whole path."""
    for path in [*root.rglob("features/*/record.json"), *root.rglob("records/encode-*.json")]:
        document = json.loads(path.read_text())
        inputs = document["inputs"]
        inputs["dataset_path"] = str(root / Path(inputs["dataset_path"]).name)
        document["fingerprint"] = records.fingerprint(inputs)
        path.write_text(json.dumps(document))
        if path.name == "record.json":
            told = {key: value for key, value in inputs.items() if "dataset_sha256" not in key}
            name = path.parent.name.rpartition("-")[0]
            path.parent.rename(path.parents[1] / f"{name}-{records.fingerprint(told)[:8]}")


def _files(root: Path) -> dict[str, bytes]:
    """All but the log, and the remembered hashes, which are of files by their whole paths."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if path.name not in ("corpus_hashes.json", "log.txt")
    }


@pytest.mark.parametrize("is_inside", [True, False])
@pytest.mark.parametrize("is_earlier", [False, True])
@pytest.mark.parametrize("way", ["moved", "copied", "linked"])
def test_all_stays_done_and_is_found(finished, tmp_path, way, is_earlier, is_inside):
    """A rerun that is refused as drift or encodes again; a search and a report that break."""
    before, now = tmp_path / "before", tmp_path / "my root"
    shutil.copytree(finished[is_inside], before)
    if is_earlier:
        _rooted_at(before, finished[is_inside])
        _as_earlier(before)
    expected = _files(before)
    if way == "moved":
        before.rename(now)
    elif way == "copied":
        shutil.copytree(before, now)
    else:
        now.symlink_to(before)
    config = _config(now, is_inside)
    loop.run(config, NoWorkers())
    changed = {name for name, content in _files(now).items() if expected.get(name) != content}
    told_again = {"run.json", "report.html", "records/report.json"}  # paths, in settings
    told_again -= {"run.json"} if is_inside else set()
    folder = Path(config.run_path).relative_to(now)
    is_same = is_inside and not is_earlier  # the report is made from what `_as_earlier` changes
    assert changed == (set() if is_same else {f"{folder}/{name}" for name in told_again})
    run = config.run_path
    assert all(" done " in line for line in status_lines(run))
    assert len(search(run, "question 3 of many", 3, "test")) == 3
    assert len(compare([f"{run}@2", f"{run}@1"]).datasets) == 2
    page = RunFolder(run).report
    pictures = Path(page).read_text().count('"data:image/webp')
    write_report(RunFolder(run).read().config, RunFolder(run))
    assert Path(page).read_text().count('"data:image/webp') == pictures > 0


def _rooted_at(root: Path, made_at: Path) -> None:
    """Have `run.json` say that the run was made in `root`, of which this is a copy."""
    for path in root.rglob("run.json"):
        path.write_text(path.read_text().replace(str(made_at), str(root)))


@pytest.mark.parametrize("is_earlier", [False, True])
def test_a_grown_dataset_in_a_moved_root_keeps_its_store(finished, tmp_path, is_earlier):
    """Every page of a moved corpus encoded again because a new run finds no store by its name."""
    before, now = tmp_path / "before", tmp_path / "now"
    shutil.copytree(finished[True], before)
    _rooted_at(before, finished[True])
    if is_earlier:
        _as_earlier(before)
    before.rename(now)
    shutil.rmtree(now / "train")
    make_corpus(now / "train", num_pages=30, num_queries=40)
    with pytest.raises(DriftError, match=r"the dataset train .* has gained 6 pages since"):
        loop.run(_config(now, True), NoWorkers())
    stores = sorted((now / "features").iterdir())
    config = continued_config(str(now / "run"), None, ["run.name=grown"])
    assert config.training.init_heads is not None
    assert config.training.init_heads.startswith(str(now))
    loop.run(config, QuickWorkers())
    assert sorted((now / "features").iterdir()) == stores


def test_a_run_that_goes_on_from_another_one_is_moved_with_it(finished, tmp_path):
    """`--continue-from` refused: the heads that the run started from have another path now."""
    before, now = tmp_path / "before", tmp_path / "now"
    shutil.copytree(finished[True], before)
    loop.run(continued_config(str(before / "run"), None, ["run.name=next"]), QuickWorkers())
    given = RunFolder(str(before / "next")).record("round-0-heads")
    assert given is not None
    assert str(given.inputs["training.init_heads"]).startswith("run/round-")
    before.rename(now)
    loop.run(continued_config(str(now / "run"), None, ["run.name=next"]), NoWorkers())
    other = storage.read_bytes(f"{now}/run/round-0/heads/heads.safetensors")
    heads = RunFolder(str(now / "next")).read().config.training.init_heads
    storage.write_bytes(f"{heads}/heads.safetensors", other)
    with pytest.raises(DriftError, match="init_heads_sha256"):
        loop.run(continued_config(str(now / "run"), None, ["run.name=next"]), NoWorkers())


@pytest.mark.parametrize("is_earlier", [False, True])
def test_a_basis_is_moved_with_its_root(tmp_path, is_earlier):
    """Another basis for the same pages: every store anew, and heads that fit none."""
    before, now = tmp_path / "before", tmp_path / "now"
    small = {"features": {"pca_dim": 5}}
    loop.encode(_config(before, True, **small), QuickWorkers())
    if is_earlier:
        _as_earlier(before)
    stores = sorted(path.name for path in (before / "features").iterdir())
    before.rename(now)
    with open_run(_config(now, True, **small), workers=NoWorkers()) as runner:
        assert runner.run.codec.basis is not None
        assert all(target.is_finished() for target in runner.run.targets.values())
    (now / "run").rename(tmp_path / "away")
    with open_run(_config(now, True, **small), workers=NoWorkers()) as runner:
        assert all(target.is_finished() for target in runner.run.targets.values())
    assert sorted(path.name for path in (now / "features").iterdir()) == stores


def test_a_damaged_basis_of_another_run_is_no_matter(tmp_path):
    """A run that cannot start, as some other one in the root has lost half of a file."""
    config = _config(tmp_path, True, features={"pca_dim": 5})
    loop.encode(config, QuickWorkers())
    for name, text in (("basis-00000000", "{"), ("basis-zzzzzzzz", "{")):
        storage.write_bytes(f"{tmp_path}/features/{name}/record.json", text.encode())
    with open_run(config, workers=NoWorkers()) as runner:
        assert all(target.is_finished() for target in runner.run.targets.values())


def test_a_store_that_an_earlier_version_has_begun_is_gone_on_with(tmp_path):
    """All that was encoded before an update, encoded again in a folder of another name."""
    config = _config(tmp_path, True)
    loop.encode(config, QuickWorkers())
    _as_earlier(tmp_path)
    stores = sorted((tmp_path / "features").iterdir())
    for path in [*(tmp_path / "features").glob("*/record.json"), *tmp_path.glob("run/records/*")]:
        path.unlink()
    loop.encode(config, QuickWorkers())
    assert sorted((tmp_path / "features").iterdir()) == stores


def test_a_run_folder_that_is_moved_alone_finds_what_it_left_behind(finished, tmp_path):
    """All pages encoded again below the new place of a run folder."""
    root = finished[True]
    run = Path(shutil.copytree(root / "run", tmp_path / "kept" / "best"))
    assert len(search(str(run), "question 3 of many", 3, "test")) == 3
    assert [path.name for path in run.parent.iterdir()] == ["best"]
    config = RunFolder(str(run)).read().config
    assert (config.run_path, config.features_root) == (str(run), str(root / "features"))


def test_another_dataset_of_the_same_name_is_no_moved_one(finished, tmp_path):
    """Pages of one corpus filed with those of another: both are called `train`."""
    root = shutil.copytree(finished[False], tmp_path / "root")
    _rooted_at(root, finished[False])
    _as_earlier(root)
    make_corpus(tmp_path / "other" / "train", num_pages=24, num_queries=40, first_picture=900)
    changed = {"data": {"train": str(tmp_path / "other" / "train")}}
    with pytest.raises(DriftError, match=r"encode-train .*dataset_path"):
        loop.run(_config(root, False, **changed), NoWorkers())


def test_a_dataset_that_is_gone_is_needed_by_no_search_and_named_by_the_rest(finished, tmp_path):
    """A search that asks for pictures which it does not show; the place of before in a message."""
    now = shutil.copytree(finished[True], tmp_path / "now")
    shutil.rmtree(now / "test")
    away = finished[True].rename(finished[True].with_suffix(".away"))
    try:
        assert len(search(str(now / "run"), "question 3 of many", 3, "test")) == 3
        page = (now / "run/report.html").read_bytes()
        told = f"{now}/test: no such dataset folder; put it back, or name the place"
        folder = RunFolder(str(now / "run"))
        with pytest.raises(ReportKeptError, match=told):
            write_report(folder.read().config, folder)
        with pytest.raises(DatasetError, match=told):
            compare([str(now / "run@2"), str(now / "run@1")])
        with pytest.raises(DatasetError, match=f"{now}/test: no such file or folder"):
            loop.run(_without_making(now), NoWorkers())
    finally:
        away.rename(finished[True])
    assert (now / "run/report.html").read_bytes() == page


def _without_making(root: Path) -> Config:
    """As `_config` of datasets inside, of which none is made again."""
    return RunFolder(str(root / "run")).read().config
