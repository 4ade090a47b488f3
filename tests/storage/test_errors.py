"""Errors of file systems name the path, and say whose mistake it is."""

import pytest

from colintern import storage
from colintern.errors import PathError


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{folder}/gone.json", "no such file or folder"),
        ("{folder}", "Is a directory"),
        ("{folder}/file/x", "Not a directory"),
        ("{folder}/" + 300 * "x", "File name too long"),
        ("nowhere://bucket/x", "Protocol not known"),
        ("gs://bucket/x", "install gcsfs"),
    ],
)
def test_a_wrong_path_is_the_users_mistake(tmp_path, path, words):
    """A traceback, or a typing error that looks like a failure to be tried again."""
    (tmp_path / "file").write_text("")
    path = path.format(folder=tmp_path)
    with pytest.raises(PathError, match=f"{path}: .*{words}") as caught:
        storage.read_bytes(path)
    assert caught.value.exit_code == 2
