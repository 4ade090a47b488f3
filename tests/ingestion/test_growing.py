"""A dataset that is ingested again: what is there stays, what is new is added."""

import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from colintern import storage
from colintern.config.schema import DatasetConfig
from colintern.data.canonical import CanonicalDataset
from colintern.data.resolve import find_source
from colintern.errors import DatasetError
from colintern.ingestion import IngestSettings, RenderSettings, ingest, part_file
from colintern.ingestion.pool import Processes
from colintern.storage import saving
from tests.helpers import make_corpus, png
from tests.ingestion.helpers import pages_in, run_ingest


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A folder of five pictures, of which two stand in a part."""
    monkeypatch.setattr("colintern.ingestion.parts._PAGES_PER_PART", 2)
    for number in range(5):
        _add(tmp_path / "one", f"{number}.png", number + 1)
    _ask(tmp_path / "q.csv", "what is zero?,0.png", "what is one?,1.png")
    return tmp_path / "one"


def _add(folder: Path, name: str, seed: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(png(seed))


def _ask(path: Path, *rows: str) -> None:
    path.write_text("\n".join(["query,file", *rows]) + "\n")


def _files(out: Path) -> dict[str, tuple[bytes, int]]:
    """Every file by its name: its bytes, and when it was written."""
    return {
        path.relative_to(out).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def _questions(out: Path) -> dict[str, list[str]]:
    dataset = CanonicalDataset(str(out))
    dataset.check()
    judged = dataset.judgements()
    return {
        query.text: sorted(judged[query.query_id])
        for query in dataset.queries()
        if query.query_id in judged
    }


def test_new_sources_and_questions_are_added(source, tmp_path, monkeypatch):
    """Ids that change with a second source, pages drawn twice, a file that a run reads rewritten.

    The page that comes again in other bytes is told.
    """
    out = tmp_path / "out"
    run_ingest(source, out=out, queries=str(tmp_path / "q.csv"))
    before, ids = _files(out), list(pages_in(out))
    _add(source, "0a.png", 50)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "same.png").write_bytes(png(3, compress_level=1))
    drawn = []
    write_part = part_file.write_part
    monkeypatch.setattr(
        "colintern.ingestion.drawing.write_part",
        lambda part, check: drawn.append(part.pieces) or write_part(part, check),
    )
    report = run_ingest(source, tmp_path / "two", out=out)
    after = _files(out)
    changed = ("dataset.json", "ingest.json")
    assert {name: after[name] for name in before if name not in changed} == {
        name: state for name, state in before.items() if name not in changed
    }
    assert [[piece.file.name for piece in pieces] for pieces in drawn] == [
        ["0a.png", "two/same.png"]
    ]
    assert list(pages_in(out)) == [*ids, "0a.png", "two/same.png"]
    assert (report.pages, report.queries, report.duplicates) == (7, 2, [["2.png", "two/same.png"]])
    questions = ("what is zero?,0.png", "what is one?,1.png", "and two?,two/same.png")
    _ask(tmp_path / "q.csv", *questions, "what is zero?,0a.png")
    run_ingest(source, tmp_path / "two", out=out, queries=str(tmp_path / "q.csv"))
    assert _questions(out) == {
        "what is zero?": ["0.png", "0a.png"],
        "what is one?": ["1.png"],
        "and two?": ["two/same.png"],
    }
    grown = _files(out)
    added = {"queries/part-00001.parquet", "qrels/part-00001.parquet"}
    assert grown.keys() - after.keys() == added
    assert all(grown[name] == after[name] for name in after.keys() - {*changed})


def test_the_first_source_may_be_named_when_there_are_several(source, tmp_path):
    """`one/0.png`, as README says for several sources, of a source that came alone at first.

    A row that is wrong is told with the questions that it would cost.
    """
    out, queries = tmp_path / "out", tmp_path / "q.csv"
    run_ingest(source, out=out, queries=str(queries))
    _add(tmp_path / "two", "0.png", 60)
    both = source, tmp_path / "two"
    _ask(queries, "what is zero?,one/0.png", "what is one?,1.png", "what is two?,two/0.png")
    assert run_ingest(*both, out=out, queries=str(queries)).bad_queries == []
    found = {"what is zero?": ["0.png"], "what is one?": ["1.png"], "what is two?": ["two/0.png"]}
    assert _questions(out) == found
    _ask(queries, "what is zero?,one/0.png", "what is one?,once/1.png", "what is two?,two/0.png")
    with pytest.raises(DatasetError, match=r"'what is one\?'.*rows that are bad.*once/1\.png"):
        run_ingest(*both, out=out, queries=str(queries))


def test_the_same_command_again_writes_nothing(source, tmp_path, caplog):
    """A dataset that counts as changed, so that every run on it is refused."""
    out, settings = tmp_path / "out", {"queries": str(tmp_path / "q.csv")}
    first = run_ingest(source, out=out, **settings)
    before = _files(out)
    with caplog.at_level("INFO", "colintern"):
        assert run_ingest(source, out=out, **settings).document() == first.document()
    assert _files(out) == before
    assert "nothing is new" in caplog.text


def _without_a_source(source: Path, out: Path) -> None:
    _add(out.parent / "other", "a.png", 90)
    run_ingest(out.parent / "other", out=out)


def _only_damaged(source: Path, out: Path) -> None:
    shutil.rmtree(source)
    source.mkdir()
    (source / "a.pdf").write_bytes(b"no PDF")
    run_ingest(source, out=out)


def _changed(source: Path, out: Path) -> None:
    (source / "1.png").write_bytes(png(77, 40, 40))
    run_ingest(source, out=out)


def _other_size(source: Path, out: Path) -> None:
    run_ingest(source, out=out, render=RenderSettings(dpi=72))


def _fewer_questions(source: Path, out: Path) -> None:
    _ask(out.parent / "q.csv", "what is zero?,0.png")
    run_ingest(source, out=out, queries=str(out.parent / "q.csv"))


def _judged_otherwise(source: Path, out: Path) -> None:
    _ask(out.parent / "q.csv", "what is zero?,2.png", "what is one?,1.png")
    run_ingest(source, out=out, queries=str(out.parent / "q.csv"))


def _a_dataset(source: Path, out: Path) -> None:
    make_corpus(out.parent / "set", num_pages=3, num_queries=2)
    run_ingest(out.parent / "set", out=out)


@pytest.mark.parametrize(
    ("ingest_again", "told"),
    [
        (_without_a_source, r"5 pages of 0\.png, 1\.png and 3 more files and 2 questions would go"),
        (_only_damaged, r"5 pages of .* would go, as these sources do not have them"),
        (_changed, r"1 page of 1\.png would be drawn again, as the files have changed"),
        (_other_size, r"all pages would be drawn again: they were drawn with dpi=144"),
        (_fewer_questions, r"1 questions \(the first: 'what is one\?'\) would go, as .*q\.csv"),
        (_judged_otherwise, r"1 judgements would go, as .*q\.csv does not have them"),
        (_a_dataset, r"5 pages would go \(the first: 0\.png\); 2 questions .* would go"),
    ],
)
def test_what_would_be_lost_is_told_and_kept(source, tmp_path, ingest_again, told):
    """A dataset of 400 pages emptied by a wrong folder, judgements of weeks gone."""
    out = tmp_path / "out"
    run_ingest(source, out=out, queries=str(tmp_path / "q.csv"))
    before = {name: state for name, state in _files(out).items() if "_beside" not in name}
    with pytest.raises(DatasetError, match=rf"--out .*: {told}.*--replace"):
        ingest_again(source, out)
    after = {name: state for name, state in _files(out).items() if "_beside" not in name}
    assert after == before
    assert find_source(DatasetConfig.model_validate(str(out)), "made").write is None


def test_what_may_go_goes(source, tmp_path):
    """Judgements of pages that are gone, which every later run refuses; or a neighbour lost."""
    out = tmp_path / "out"
    run_ingest(source, out=out, queries=str(tmp_path / "q.csv"))
    (source / "0.png").unlink()
    (source / "2.png").write_bytes(png(77, 40, 40))
    report = run_ingest(source, out=out, replace=True)
    pages = pages_in(out)
    assert sorted(pages) == ["1.png", "2.png", "3.png", "4.png"]
    assert pages["2.png"].image == png(77, 40, 40)
    assert (report.pages, report.queries) == (4, 1)
    assert _questions(out) == {"what is one?": ["1.png"]}
    assert json.loads((out / "dataset.json").read_text())["pages"] == 4


class _Killed(BaseException):
    """A kill: no code of ours catches it."""


def _moves(monkeypatch, stop_at: int) -> list[str]:
    """Kill the process at this step of putting in what was built beside; the steps so far."""
    steps: list[str] = []
    for name in ("move", "delete", "write_bytes"):
        original = getattr(saving, name)

        def step(*args, _name=name, _original=original):
            if "lease" not in args[0]:
                if len(steps) == stop_at:
                    raise _Killed
                steps.append(f"{_name} {args[0]}")
            return _original(*args)

        for module in (storage, saving):
            monkeypatch.setattr(module, name, step)
    return steps


def test_a_file_with_another_date_is_the_same_file(source, tmp_path):
    """A corpus drawn again, or refused, because the sources were copied without their dates."""
    out = tmp_path / "out"
    run_ingest(source, out=out)
    before = _files(out)
    os.utime(source / "1.png", (1, 1))
    shutil.copytree(source, tmp_path / "copy")
    os.utime(tmp_path / "copy" / "2.png", (1, 1))
    for folder in (source, tmp_path / "copy"):
        run_ingest(folder, out=out)
        assert _files(out) == before


@pytest.mark.parametrize("stop_at", range(1, 7))
def test_a_killed_addition_leaves_a_whole_dataset_and_is_resumed(
    source, tmp_path, monkeypatch, stop_at
):
    """A dataset that no run can read after a kill, or one that ends otherwise."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    for folder in (whole, out):
        run_ingest(source, out=folder, queries=str(tmp_path / "q.csv"))
    ids, began = set(pages_in(out)), CanonicalDataset(str(out)).questions()
    for number in range(5):
        _add(tmp_path / "two", f"{number}.png", 60 + number)
    _ask(tmp_path / "q.csv", "what is zero?,0.png", "what is one?,1.png", "and?,two/4.png")
    again = [source, tmp_path / "two"], {"queries": str(tmp_path / "q.csv")}
    run_ingest(*again[0], out=whole, **again[1])
    with monkeypatch.context() as patched:
        _moves(patched, stop_at)
        with pytest.raises(_Killed):
            run_ingest(*again[0], out=out, **again[1])
    assert find_source(DatasetConfig.model_validate(str(out)), "made").folder == str(out)
    _questions(out)
    assert set(pages_in(out)) >= ids
    assert CanonicalDataset(str(out), began).queries()  # for a run that goes on
    for lease in out.glob("lease-*"):
        lease.unlink()
    run_ingest(*again[0], out=out, **again[1])
    assert {name: state[0] for name, state in _files(out).items()} == {
        name: state[0] for name, state in _files(whole).items()
    }


@pytest.mark.parametrize("stop_at", range(1, 9))
def test_a_killed_replacement_is_finished_by_the_same_command(
    source, tmp_path, monkeypatch, stop_at
):
    """Half of two datasets taken for one; a page under one id with two pictures."""
    out = tmp_path / "out"
    run_ingest(source, out=out, queries=str(tmp_path / "q.csv"))
    before = {page_id: page.image for page_id, page in pages_in(out).items()}
    (source / "0.png").unlink()
    (source / "2.png").write_bytes(png(77, 40, 40))
    dataset = DatasetConfig.model_validate(str(out))
    with monkeypatch.context() as patched:
        steps = _moves(patched, stop_at)
        with pytest.raises(_Killed):
            run_ingest(source, out=out, replace=True)
    if any(step.startswith("delete") for step in steps):
        with pytest.raises(DatasetError, match="its ingest is unfinished"):
            find_source(dataset, "made")
    else:
        assert find_source(dataset, "made").folder == str(out)
        assert {page_id: page.image for page_id, page in pages_in(out).items()} == before
    for lease in out.glob("lease-*"):
        lease.unlink()
    run_ingest(source, out=out, replace=True)
    assert find_source(dataset, "made").folder == str(out)
    assert sorted(pages_in(out)) == ["1.png", "2.png", "3.png", "4.png"]
    assert _questions(out) == {"what is one?": ["1.png"]}


def test_parts_of_an_earlier_version_stay(source, tmp_path):
    """Thousands of pages drawn again after an update, because old parts do not say of what."""
    out = tmp_path / "out"
    run_ingest(source, out=out)
    for path in (out / "corpus").iterdir():
        metadata = pq.read_schema(path).metadata
        assert part_file._ORIGIN_KEY in pq.ParquetFile(path).metadata.metadata
        pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
        assert part_file.origin_of(str(path)) is None
    begun = out / "ingest.json"
    begun.write_text(json.dumps({"sources": json.loads(begun.read_text())["sources"]}))
    before = {name: state for name, state in _files(out).items() if name.startswith("corpus/")}
    _add(tmp_path / "two", "a.png", 60)
    assert run_ingest(source, tmp_path / "two", out=out).pages == 6
    after = _files(out)
    assert {name: after[name] for name in before} == before


def test_an_unfinished_ingest_is_not_given_up_for_another(source, tmp_path, monkeypatch):
    """Hours of drawing gone because of a wrong folder."""
    out = tmp_path / "out"

    def dies(self, function, work, seconds):
        for part in list(work)[:1]:
            yield part, function(part)
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Processes, "each", dies)
        with pytest.raises(KeyboardInterrupt):
            run_ingest(source, out=out)
    _add(tmp_path / "other", "a.png", 90)
    with pytest.raises(DatasetError, match=r"an unfinished ingest of .*one, which would go; .*"):
        run_ingest(tmp_path / "other", out=out)
    assert run_ingest(tmp_path / "other", out=out, replace=True).pages == 1


def test_a_dataset_that_is_copied_again_grows(tmp_path, caplog):
    """A published set whose next version asks for --replace, or is copied into a broken folder."""
    make_corpus(tmp_path / "set", num_pages=5, num_queries=5)
    out, settings = tmp_path / "out", IngestSettings(num_processes=1)
    ingest([str(tmp_path / "set")], str(out), settings)
    before = _files(out)
    with caplog.at_level("INFO", "colintern"):
        ingest([str(tmp_path / "set")], str(out), settings)
    assert "nothing is new" in caplog.text
    assert _files(out) == before
    make_corpus(tmp_path / "set", num_pages=7, num_queries=5)
    assert ingest([str(tmp_path / "set")], str(out), settings).pages == 7
    CanonicalDataset(str(out)).check()
    assert not (out / "_beside").exists()
