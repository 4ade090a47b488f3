"""A folder is written whole, and replaces nothing but an untouched export."""

import json
import shutil

import pytest

from colintern.errors import ExportError, PathError
from colintern.retrieval.export import folder
from colintern.retrieval.export.export import export_run
from colintern.retrieval.export.folder import check_place, write_folder

FILES = {"a.json": b"{}", "sub/b.bin": b"bytes"}


@pytest.fixture
def out(tmp_path) -> str:
    """Where an export of `FILES` stands."""
    write_folder(str(tmp_path / "out"), FILES, {"round": 1})
    return str(tmp_path / "out")


def _all(root) -> dict[str, bytes]:
    return {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


def test_the_same_command_gives_the_same_bytes(run, tmp_path):
    """A date or a name that changes; a file of the first export that stays beside the second."""
    export_run(run, str(tmp_path / "out"), side="query")
    other = _all(tmp_path / "out")
    written = export_run(run, str(tmp_path / "out"))
    first = _all(tmp_path / "out")
    assert written.num_bytes == sum(map(len, first.values())) - len(first["export.json"])
    assert export_run(run, str(tmp_path / "out")) == written
    assert _all(tmp_path / "out") == first
    assert other.keys() - first.keys()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_write_that_fails_changes_nothing(out, tmp_path, monkeypatch):
    """Half of a new folder mixed with half of an old one; files left behind."""
    before = _all(tmp_path)
    with pytest.raises(FileNotFoundError):
        write_folder(out, {**FILES, "z.bin": tmp_path / "gone"}, {})
    assert _all(tmp_path) == before

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "_write", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_folder(out, FILES, {})
    assert _all(tmp_path) == before


def test_an_untouched_export_may_be_replaced(out, tmp_path):
    """A second export that is refused; an empty folder, which a cluster's scripts make first."""
    check_place(out)
    (tmp_path / "empty").mkdir()
    check_place(str(tmp_path / "empty"))
    check_place(str(tmp_path / "new" / "deep"))
    write_folder(str(tmp_path / "empty"), FILES, {})
    write_folder(str(tmp_path / "new" / "deep"), FILES, {})
    assert json.loads((tmp_path / "empty" / "export.json").read_bytes())["files"].keys() == {*FILES}


def test_a_link_stays_and_so_the_disk_that_it_leads_to(tmp_path):
    """Gigabytes on the disk of the home folder; the link, left behind under a temporary name."""
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk")
    for _ in range(2):
        check_place(str(link))
        write_folder(str(link), FILES, {})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["disk", "link"]
    assert link.is_symlink()
    assert (tmp_path / "disk" / "a.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda out: (out / "export.json").unlink(), "is there and is no export; name another"),
        (lambda out: (out / "export.json").write_text("[]"), "is there and is no export"),
        (lambda out: (shutil.rmtree(out), out.write_text("")), "is there and is no export"),
        (lambda out: (out / "mine").mkdir() or (out / "mine/x").touch(), "holds mine/x, which no"),
        (lambda out: (out / "a.json").write_text("[]"), "a.json was changed since its export"),
    ],
)
def test_what_is_not_ours_is_not_replaced(out, tmp_path, change, said):
    """Somebody's folder, their edited model card, or the `.git` of a clone, gone in a moment."""
    change(tmp_path / "out")
    before = _all(tmp_path)
    with pytest.raises(ExportError, match=said) as error:
        check_place(out)
    assert "\n" not in str(error.value)
    assert _all(tmp_path) == before


def test_a_place_that_cannot_be_is_named_as_it_was_asked_for(tmp_path):
    """A temporary name that nobody has typed, in the message."""
    (tmp_path / "file").touch()
    out = str(tmp_path / "file" / "out")
    check_place(out)
    with pytest.raises(PathError, match=f"^{out}: cannot be read or written"):
        write_folder(out, FILES, {})


def test_an_object_store_is_refused():
    """A folder called `s3:`."""
    with pytest.raises(ExportError, match="--out s3://bucket/out: must be a folder on this machi"):
        check_place("s3://bucket/out")
