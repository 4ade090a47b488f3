"""Images of found pages in a folder that somebody else may use too."""

import json
from pathlib import Path

import pytest

from colintern.errors import UserError
from colintern.retrieval.answers import Hit
from colintern.retrieval.saving import SAVED, save_pages
from tests.helpers import png


def _save(folder: Path, *page_ids: str) -> list[str]:
    hits = [Hit(rank, 0.5, page, None) for rank, page in enumerate(page_ids, start=1)]
    images = {page_id: png(number) for number, page_id in enumerate(page_ids)}
    return [Path(path).name for path in save_pages(hits, images, str(folder))]


def _images(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {SAVED}


def test_names_are_safe_and_unique(tmp_path):
    """A page id that leaves the folder, is too long for a file name, or meets another's."""
    names = _save(tmp_path, "../../etc/passwd", "a/b", "a b", "頁" * 300, "../..")
    assert names == [
        "001-.._.._etc_passwd.png",
        "002-a_b.png",
        "003-a_b.png",
        f"004-{'頁' * 50}.png",
        "005-.._...png",
    ]
    assert _images(tmp_path) == set(names)
    assert (tmp_path / names[2]).read_bytes() == png(2)


def test_an_earlier_search_goes_and_nothing_else(tmp_path):
    """Pages of two searches in one folder, or a picture of the user's that is gone."""
    (tmp_path / "001-notes.png").write_bytes(b"mine")
    _save(tmp_path, "a", "b", "c")
    (tmp_path / "003-c.png").write_bytes(b"drawn on")
    assert _save(tmp_path, "b") == ["001-b.png"]
    assert _images(tmp_path) == {"001-notes.png", "001-b.png", "003-c.png"}
    assert (tmp_path / "003-c.png").read_bytes() == b"drawn on"
    assert json.loads((tmp_path / SAVED).read_text()).keys() == {"001-b.png"}


def test_a_file_of_somebody_else_is_not_written_over(tmp_path):
    """A picture that is lost because a search found a page of its name."""
    _save(tmp_path, "x")
    (tmp_path / "001-a.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"001-a\.png is there and was not written by a search"):
        _save(tmp_path, "a")
    assert _images(tmp_path) == {"001-x.png", "001-a.png"}
    assert (tmp_path / "001-a.png").read_bytes() == b"mine"


def test_the_same_search_again(tmp_path):
    """A folder that refuses its own files."""
    assert _save(tmp_path, "a", "b") == _save(tmp_path, "a", "b")
    assert _images(tmp_path) == {"001-a.png", "002-b.png"}


def test_a_list_that_names_files_outside(tmp_path):
    """A list from elsewhere that makes a search delete what it likes."""
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"mine")
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / SAVED).write_text(json.dumps({"../outside.png": "any"}))
    _save(tmp_path / "found", "a")
    assert outside.read_bytes() == b"mine"
