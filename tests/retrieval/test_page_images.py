"""Image files of a store's pages, wherever they stand in their dataset."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.data import canonical
from colintern.data.canonical import CanonicalDataset
from colintern.errors import DatasetError
from colintern.features.store import Items
from colintern.retrieval import page_images
from colintern.retrieval.finished import open_finished
from colintern.retrieval.page_images import PageImages
from tests.local_run import NoWorkers


@pytest.fixture
def pages(run) -> Items:
    """The pages of the test set's store."""
    finished = open_finished(run)
    return finished.store(finished.dataset(), NoWorkers()).pages


@pytest.fixture
def folder(root, tmp_path) -> Path:
    """The test set, its pages in another order, two a row group, in two files."""
    folder = tmp_path / "test"
    shutil.copytree(root / "test", folder)
    (file,) = (folder / "corpus").glob("*.parquet")
    table = pq.read_table(file)
    for number, rows in enumerate(([5, 3, 0, 4], [2, 1])):
        _write(folder, number, table.take(rows))
    return folder


def _write(folder: Path, number: int, rows: pa.Table) -> None:
    pq.write_table(rows, folder / "corpus" / f"part-{number:05d}.parquet", row_group_size=2)


@pytest.fixture
def read(monkeypatch) -> list:
    """What is read: "ids", or the number of a row group of images."""
    read, stream_columns, rows_of = [], page_images.stream_columns, canonical.rows_of

    def streamed(files, columns):
        read.append("ids")
        return stream_columns(files, columns)

    def of(parquet, file, columns, row_group):
        read.append((Path(file).name, row_group))
        return rows_of(parquet, file, columns, row_group)

    monkeypatch.setattr(page_images, "stream_columns", streamed)
    monkeypatch.setattr(canonical, "rows_of", of)
    return read


def test_ids_are_read_once_and_no_row_group_for_nothing(root, folder, pages, read):
    """All ids of a corpus read for each picture of a page: a second at 100,000 pages."""
    ids = pages.ids.to_pylist()
    wanted = CanonicalDataset(str(root / "test")).images(ids)
    del read[:]
    images = PageImages(str(folder), pages)
    assert images.read([ids.index("p004")]) == [wanted["p004"]]
    assert read == ["ids", ("part-00000.parquet", 1)]
    places = [4, 1, 3, 1, 5, 2, 0]
    assert images.read(places) == [wanted[ids[place]] for place in places]
    assert read.count("ids") == 1
    assert len(read) == 2 + 3


def test_a_dataset_that_grows_is_read_again(root, folder, pages, read):
    """A page taken from where another one stands now; one that is gone, as a KeyError."""
    wanted = CanonicalDataset(str(root / "test")).images(["p001", "p002"])
    images = PageImages(str(folder), pages)
    assert images.read([2, 1]) == [wanted["p002"], wanted["p001"]]
    file = folder / "corpus" / "part-00001.parquet"
    table = pq.read_table(file)
    others = table.set_column(0, "corpus-id", pa.array(["new", "p002"]))
    _write(folder, 1, pa.concat_tables([others.slice(0, 1), table.slice(0, 1), others.slice(1)]))
    assert images.read([2, 1]) == [wanted["p002"], None]  # of rows with one id, the first counts
    assert read.count("ids") == 2
    shutil.rmtree(folder)
    with pytest.raises(DatasetError, match="no such dataset folder"):
        images.read([2])
