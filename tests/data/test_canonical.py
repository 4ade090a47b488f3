"""Reading datasets: the columns of others, and mistakes that name file and column."""

import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.config.schema import DatasetConfig
from colintern.data import canonical, digests
from colintern.data.canonical import CanonicalDataset, PageLocation, iterate_pages, read_images
from colintern.data.columns import strings
from colintern.data.entities import Page
from colintern.data.inventory import read_inventory
from colintern.data.parquet import rows_of
from colintern.data.resolve import find_source, made
from colintern.data.text import normalised
from colintern.data.views import KnownIds, whole_view
from colintern.data.writing import IMAGE_TYPE
from colintern.errors import DatasetError
from tests.helpers import make_corpus, pairs_of, png


@pytest.fixture
def folder(tmp_path):
    make_corpus(tmp_path / "set", num_pages=150, num_queries=200)
    return tmp_path / "set"


def _all_pages(dataset: CanonicalDataset) -> list[tuple[PageLocation, Page]]:
    return [pair for file in dataset.corpus_files for pair in iterate_pages(file)]


def test_pages_are_read_back_wherever_they_stand(folder):
    """A page read from another row, or a row group read once for every page of it."""
    dataset = CanonicalDataset(str(folder))
    found = _all_pages(dataset)
    assert [page.page_id for _, page in found] == [f"p{n:03d}" for n in range(150)]
    chosen = [found[place] for place in (140, 3, 70, 4)]
    assert len({location.row_group for location, _ in chosen}) > 1
    assert read_images([location for location, _ in chosen]) == [page.image for _, page in chosen]
    corpus = read_inventory(dataset.corpus_files)
    assert corpus.ids.to_pylist() == [page.page_id for _, page in found]
    assert [corpus.location(row) for row in range(150)] == [location for location, _ in found]
    assert digests.numbered(corpus.hashes[:3]).tolist() == [0, 0, 1]
    assert (corpus.widths[0], corpus.heights[0]) == (32, 32)


def test_images_of_a_few_pages_are_found_by_their_ids(folder, monkeypatch):
    """All images of a corpus read to find a few; a page taken from a wrong place."""
    dataset, read = CanonicalDataset(str(folder)), []
    pages = {page.page_id: (location, page.image) for location, page in _all_pages(dataset)}

    def recorded(parquet, file, columns, row_group):
        read.append((tuple(columns), row_group))
        return rows_of(parquet, file, columns, row_group)

    monkeypatch.setattr(canonical, "rows_of", recorded)
    found = dataset.images({"p003", "p140", "unknown"})
    assert found == {page_id: pages[page_id][1] for page_id in ("p003", "p140")}
    groups = [group for columns, group in read if columns != ("corpus-id",)]
    assert groups == [pages[page_id][0].row_group for page_id in ("p003", "p140")]
    assert len({location.row_group for location, _ in pages.values()}) > len(groups)


def test_ids_of_any_type_and_scores_of_any_type(folder):
    """BEIR files with integer ids or float scores that match nothing."""
    pq.write_table(
        pa.table({"query-id": [7, 7, 8], "corpus-id": [1, 2, 1], "score": [1.0, 0.0, 2.0]}),
        folder / "qrels" / "part-00000.parquet",
    )
    pq.write_table(
        pa.table({"query-id": [8, 7], "query": ["b", None]}),
        folder / "queries" / "part-00000.parquet",
    )
    dataset = CanonicalDataset(str(folder))
    assert dataset.judgements() == {"7": {"1": 1}, "8": {"1": 2}}
    assert [query.query_id for query in dataset.queries()] == ["8"]  # a null text is no query


def _read_all(folder) -> None:
    dataset = CanonicalDataset(str(folder))
    list(iterate_pages(dataset.corpus_files[0]))
    dataset.queries()
    dataset.judgements()


@pytest.mark.parametrize(
    ("part", "column"), [("corpus", "image"), ("queries", "query"), ("qrels", "score")]
)
def test_a_missing_column_names_file_and_column(folder, part, column):
    """A KeyError from deep inside."""
    path = folder / part / "part-00000.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    with pytest.raises(DatasetError, match=rf"{part}/part-00000.parquet: lacks .* '{column}'"):
        _read_all(folder)


def test_missing_parts_and_files_that_are_not_parquet(folder):
    """An empty folder taken for an empty dataset."""
    (folder / "qrels" / "part-00000.parquet").write_bytes(b"not parquet")
    with pytest.raises(DatasetError, match="not a readable parquet file"):
        CanonicalDataset(str(folder)).judgements()
    (folder / "qrels" / "part-00000.parquet").unlink()
    with pytest.raises(DatasetError, match="qrels: no parquet files"):
        CanonicalDataset(str(folder))


@pytest.mark.parametrize("compression", ["none", "snappy"])
@pytest.mark.parametrize(
    ("part", "column"),
    [("corpus", "image"), ("corpus", "doc-id"), ("queries", "query"), ("qrels", "corpus-id")],
)
def test_damage_behind_a_good_footer_names_file_and_column(folder, part, column, compression):
    """A traceback out of pyarrow after hours, for a download that lost a block."""
    path = folder / part / "part-00000.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=64, compression=compression)
    group = pq.read_metadata(path).row_group(1)
    place = group.num_columns - 1
    while not group.column(place).path_in_schema.startswith(column):
        place -= 1
    chunk = group.column(place)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(data)
    words = rf"{part}/part-00000.parquet: the column '{column}' is damaged .*again$"
    with pytest.raises(DatasetError, match=words):
        _read_all(folder)


def test_text_that_is_not_utf8_names_file_and_column(folder):
    """Bytes of another encoding that end in a UnicodeDecodeError."""
    path = folder / "queries" / "part-00000.parquet"
    pq.write_table(
        pa.table({"query-id": ["a"], "query": ["cafe question"]}), path, compression="none"
    )
    data = path.read_bytes().replace(b"cafe question", b"caf\xe9 question")
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"queries/.*'query' has text that is not UTF-8"):
        CanonicalDataset(str(folder)).queries()


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("form", ["qrels", "data/qrels"])
def test_a_score_that_is_no_number_is_refused(folder, tmp_path, score, form):
    """A judgement lost in silence, or an int(nan) deep inside."""
    path = folder / f"{form}/part-00000.parquet"
    (folder / "qrels" / "part-00000.parquet").unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({"query-id": ["q000", "q001"], "corpus-id": ["p000"] * 2, "score": [1.0, score]}),
        path,
    )
    with pytest.raises(DatasetError, match=rf"{form}.*parquet: the column 'score' has a"):
        CanonicalDataset(
            made(find_source(DatasetConfig(path=str(folder), name="x"), str(tmp_path / "made")))
        ).judgements()


@pytest.mark.parametrize("column", ["query-id", "corpus-id"])
def test_an_empty_id_is_refused(folder, column):
    """Judgements of a page that is called None."""
    columns = {"query-id": ["q000", "q001"], "corpus-id": ["p000", "p001"], "score": [1, 1]}
    columns[column][1] = None
    pq.write_table(pa.table(columns), folder / "qrels" / "part-00000.parquet")
    with pytest.raises(DatasetError, match=rf"qrels/.*'{column}' has an empty cell"):
        CanonicalDataset(str(folder)).check()


@pytest.mark.parametrize("part", ["corpus", "queries", "qrels"])
@pytest.mark.parametrize("character", ["\0", "\n", "\t", "\x7f", "\x9b"])
def test_an_id_with_a_control_character_is_refused(folder, part, character):
    """A metric that stops at NUL and counts two pages as one, or a process that is aborted."""
    columns = {
        "corpus": {"corpus-id": ["p"], "image": [{"bytes": b"", "path": None}], "doc-id": ["d"]},
        "queries": {"query-id": ["q"], "query": ["what"]},
        "qrels": {"query-id": ["q"], "corpus-id": ["p"], "score": [1]},
    }[part]
    path = folder / part / "part-00000.parquet"
    for column in [name for name in columns if name.endswith("-id")]:
        pq.write_table(pa.table({**columns, column: [f"a{character}b"]}), path)
        words = rf"{part}/.*: the column '{column}' has an id with the control .*that character"
        with pytest.raises(DatasetError, match=words) as refused:
            CanonicalDataset(str(folder)).check()
        assert character not in str(refused.value)


@pytest.mark.parametrize(
    ("part", "column", "value", "kind"),
    [
        ("corpus", "doc-id", {"name": "a"}, "text or whole numbers"),
        ("corpus", "image", {"bytes": "text"}, "a struct with bytes"),
        ("queries", "language", 7, "text"),
        ("queries", "source", ["a"], "text"),
    ],
)
def test_a_column_of_another_type_names_file_and_column(folder, part, column, value, kind):
    """A document id that is a struct, taken for text."""
    path = folder / part / "part-00000.parquet"
    table = pq.read_table(path)
    if column in table.column_names:
        table = table.drop_columns([column])
    pq.write_table(table.append_column(column, pa.array([value] * len(table))), path)
    words = rf"{part}/part-00000.parquet: the column '{column}' is .*; it must be {kind}"
    with pytest.raises(DatasetError, match=words):
        _read_all(folder)


def test_categories_are_text(folder):
    """Columns that pandas wrote as categories, refused."""
    path = folder / "queries" / "part-00000.parquet"
    languages = pa.array(["en", "fr"]).dictionary_encode()
    pq.write_table(
        pa.table({"query-id": ["a", "b"], "query": ["x", "y"], "language": languages}), path
    )
    assert [q.language for q in CanonicalDataset(str(folder)).queries()] == ["en", "fr"]


def test_the_content_hash_sees_a_changed_page(folder, tmp_path):
    """A store that is taken for up to date although the corpus has changed."""
    before = CanonicalDataset(str(folder)).content_hash()
    make_corpus(tmp_path / "twin", num_pages=150, num_queries=200)
    assert CanonicalDataset(str(tmp_path / "twin")).content_hash() == before
    path = folder / "corpus" / "part-00000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[5]["image"]["bytes"] = png(999, 40, 40)
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
    assert CanonicalDataset(str(folder)).content_hash() != before


def test_pairs_leave_out_pages_without_features(folder):
    """A training pair whose page was refused by encoding."""
    dataset = CanonicalDataset(str(folder))
    pages = KnownIds(strings([page for page in dataset.documents() if page != "p005"]))
    view = whole_view("train", dataset, pages)
    pairs = pairs_of(view)
    assert len(pairs) == 198
    assert all(page != "p005" for _, page in pairs)


def test_equal_texts_are_equal():
    """Two spellings of one letter, or a blank, that make two questions of one."""
    assert normalised(" Cafe\u0301 ") == normalised("CAFÉ")
    assert normalised("a b") != normalised("ab")


_GROWTH = """
import sys
from pathlib import Path
from colintern.data import digests
from colintern.data.canonical import PageLocation, iterate_pages, read_images

def peak():  # not ru_maxrss: it begins at what the parent had when it started this process
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

file, before = sys.argv[1], peak()
assert sum(len(page.image) for _, page in iterate_pages(file)) == 160 * 2**20
assert len(read_images([PageLocation(file, 0, row) for row in (3, 100)])[1]) == 2**20
print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
def test_memory_does_not_follow_the_row_group(tmp_path):
    """A published file with all its pages in one row group, which was read in one piece."""
    path = tmp_path / "corpus.parquet"
    images = [{"bytes": os.urandom(2**20), "path": None} for _ in range(160)]
    table = pa.table({"corpus-id": range(160), "image": pa.array(images, IMAGE_TYPE)})
    pq.write_table(table, path, write_batch_size=8)
    assert pq.read_metadata(path).num_row_groups == 1
    done = subprocess.run(
        [sys.executable, "-c", _GROWTH, path], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 110 * 2**20
