"""The text of pages, where a corpus tells it."""

from colintern.data.page_texts import page_texts
from tests.data.helpers import write
from tests.helpers import png


def test_texts_are_read_from_any_corpus(tmp_path):
    """Ours and ViDoRe v3's, with ids that are numbers; a folder of before there was a text."""
    images = {"image": [png(1), png(2), png(3)]}
    files = {
        "ours": {"corpus-id": ["a", "b", "c"], "text": ["one", None, " \n"]},
        "v3": {"corpus_id": [7, 8, 9], "markdown": ["# seven", "", "nine"]},
        "both": {"corpus-id": ["d", "e", "f"], "text": ["d", None, "f"], "markdown": ["x"] * 3},
        "old": {"corpus-id": ["g", "h", "i"]},
        "odd": {"corpus-id": ["j", "k", "l"], "text": [1, 2, 3]},
    }
    paths = [tmp_path / f"{name}.parquet" for name in files]
    for path, columns in zip(paths, files.values(), strict=True):
        write(path, **columns, **images)
    found = list(page_texts(list(map(str, paths))))
    assert found == [
        *[("a", "one"), ("b", None), ("c", None)],
        *[("7", "# seven"), ("8", None), ("9", "nine")],
        *[("d", "d"), ("e", "x"), ("f", "f")],
        *[(page_id, None) for page_id in "ghijkl"],
    ]
