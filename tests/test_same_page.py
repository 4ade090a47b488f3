"""Two pages are the same page when their decoded pixels are equal (property 14), everywhere.

Whatever asks whether two pages are one is tried with copies in the same bytes, and with copies that
were saved anew at another level of compression, which used to count as other pages.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from colintern.config.schema import DatasetConfig, MiningConfig
from colintern.data.canonical import CanonicalDataset, iterate_pages, read_images
from colintern.data.inventory import read_inventory
from colintern.data.resolve import find_source, made
from colintern.data.writing import IMAGE_TYPE
from colintern.errors import DatasetError
from colintern.features.catalog import DEV
from colintern.images.decode import decode
from colintern.images.pixels import pixels_sha256
from colintern.ingestion import IngestSettings, ingest
from colintern.ingestion.rendering import RenderSettings
from colintern.mining.miner import Corpus
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards
from colintern.training.batch import build_batch
from colintern.training.examples import TrainingSet
from colintern.training.worker import Worker
from tests.features.helpers import planned
from tests.helpers import CorpusFolder, corpus_of, knowing_heads, make_store, mined, pairs_of, png

NUM_IMAGES = 8
LEVELS = pytest.mark.parametrize("level", [6, 1], ids=["equal bytes", "equal pixels"])


def _images(level: int, seeds: Sequence[int] = range(NUM_IMAGES)) -> list[bytes]:
    return [png(seed, compress_level=level) for seed in seeds]


def _twice(folder: Path, level: int) -> CorpusFolder:
    """The pages p000 to p007, and their copies p008 to p015; a question about each."""
    images = [*_images(6), *_images(level)]
    return make_store(corpus_of(folder / "set", images, 2 * NUM_IMAGES), folder / "store")


def _copy_of(page_id: str) -> str:
    return f"p{(int(page_id[1:]) + NUM_IMAGES) % (2 * NUM_IMAGES):03d}"


@LEVELS
def test_a_copy_is_masked_in_the_batch(tmp_path, level):
    """In-batch negatives have no margin: the copy of its answer pushed away from each query."""
    view, store = _twice(tmp_path, level).catalog.evaluated("test")
    training_set = TrainingSet(view, store)
    batch = next(training_set.batches(2 * NUM_IMAGES, 1, 0, seed="0"))
    mask_BD = build_batch(training_set, batch, Worker()).mask_BD
    columns = store.pages.ids.take(pa.array([example.page for example in batch.examples]))
    columns = columns.to_pylist()
    for row, page_id in enumerate(columns):
        masked = {page for column, page in enumerate(columns) if not mask_BD[row, column]}
        assert masked == {page_id, _copy_of(page_id)}


@LEVELS
@pytest.mark.parametrize("sampling", ["top", "random"])
def test_a_copy_is_never_mined(tmp_path, level, sampling):
    """At margin 0 the copy of the answer is the hardest of negatives: 8 of 8 queries got it."""
    view, store = _twice(tmp_path, level).catalog.evaluated("test")
    heads = knowing_heads(dim=16)
    corpus = Corpus.of(view, store.pages)
    shards = LocalShards([CorpusShard(store.pages, heads, view.pages)])
    settings = MiningConfig(relative_margin=0.0, sampling=sampling)
    queries = embed_queries(heads, store.queries, view.queries)
    triples, summary = mined(corpus, shards, queries, settings)
    assert len(triples) == 2 * NUM_IMAGES
    for triple in triples:
        assert triple.negs
        assert not {triple.pos[0], _copy_of(triple.pos[0])} & set(triple.negs)
    assert summary["dropped"]["same_page"] == 2 * NUM_IMAGES


@LEVELS
def test_copies_stay_on_one_side_of_a_split(tmp_path, level):
    """A page that is trained on under one id and asked for in dev under another."""
    folder = replace(_twice(tmp_path, level), dev=None)
    data = folder.config.data.model_copy(update={"dev_fraction": 0.4})
    catalog = replace(folder.catalog, data=data)
    (train, _), (dev, _) = catalog.train(), catalog.evaluated(DEV)
    asked = {page for _, page in pairs_of(dev)}
    assert asked
    trained = set(train.page_ids().to_pylist())
    assert trained
    assert not {_copy_of(page) for page in asked} & trained


@LEVELS
@pytest.mark.parametrize("older", ["", "train", "dev"])
def test_copies_of_dev_are_held_out_and_seen_pages_are_named(tmp_path, level, older):
    """A dev set that flatters the stop rule. A store of an earlier version knows bytes only."""
    train = make_store(corpus_of(tmp_path / "set", _images(6), NUM_IMAGES), tmp_path / "store")
    images = _images(level, range(6, 10))
    dev = make_store(corpus_of(tmp_path / "dev", images, 4), tmp_path / "dev-store")
    if older:
        _without_pixels(Path({"train": train, "dev": dev}[older].store))
    catalog = replace(train, dev=dev).catalog
    known = not older or level == 6  # else only pixels tell, and one of the two lacks them
    held_out = ["p006", "p007"] if known else []
    assert catalog.pages_held_out() == held_out
    everything = {f"p{number:03d}" for number in range(NUM_IMAGES)}
    assert set(catalog.train()[0].page_ids().to_pylist()) == everything - set(held_out)


def _without_pixels(store: Path) -> None:
    """The manifest of pages as an earlier version wrote it."""
    path = store / "pages" / "manifest.parquet"
    pq.write_table(pq.read_table(path).drop_columns("pixels_sha256"), path)


def test_pages_of_a_test_set_that_are_trained_on_in_other_bytes_are_named(tmp_path):
    """A test set that looks easy because it was seen."""
    train = make_store(corpus_of(tmp_path / "set", _images(6), NUM_IMAGES), tmp_path / "store")
    dev = make_store(corpus_of(tmp_path / "dev", _images(6, [90]), 1), tmp_path / "dev-store")
    test = make_store(
        corpus_of(tmp_path / "test", _images(1, range(5, 12)), 7), tmp_path / "test-store"
    )
    catalog = replace(train, dev=dev).catalog
    entry = catalog.data.eval[0].model_copy(update={"path": test.path})
    catalog = replace(
        catalog,
        data=catalog.data.model_copy(update={"eval": (entry,)}),
        stores={**catalog.stores, "test": test.store},
    )
    assert catalog.pages_seen_in_training("test") == ["p000", "p001", "p002"]


def _write_rows(path: Path, images: Sequence[bytes], queries: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True)
    cells = [{"bytes": image, "path": None} for image in images]
    names = [f"doc_{number}.png" for number in range(len(images))]
    columns = {"image": pa.array(cells, IMAGE_TYPE), "image_filename": names, "query": queries}
    pq.write_table(pa.table(columns), path)
    return path.parent


def _three_times(folder: Path) -> tuple[Path, list[bytes], list[str]]:
    """Rows of four pages, each three times: saved anew every time, and once not decodable."""
    images = [png(seed, compress_level=level) for level in (6, 1, 9) for seed in range(4)]
    images += [images[0][:2_000], images[0][:2_000], images[1]]
    queries = [f"question {number}" for number in range(len(images))]
    return _write_rows(folder / "rows" / "train.parquet", images, queries), images, queries


def test_rows_that_save_each_page_anew_become_one_page(tmp_path):
    """12 pages instead of 4, of which 8 are near misses of their own questions."""
    source, images, queries = _three_times(tmp_path)
    dataset = DatasetConfig.model_validate({"path": str(source), "name": "set"})
    canonical = CanonicalDataset(made(find_source(dataset, str(tmp_path / "made"))))
    pages = [page for _, page in iterate_pages(canonical.corpus_files[0])]
    ids = [f"000000{number}-doc_{index}" for number, index in enumerate([0, 1, 2, 3, 12])]
    assert [page.page_id for page in pages] == ids
    assert [page.image for page in pages] == [*images[:4], images[12]]
    judged = {query.text: canonical.judgements()[query.query_id] for query in canonical.queries()}
    expected = [0, 1, 2, 3] * 3 + [4, 4, 1]
    assert judged == {text: {ids[n]: 1} for text, n in zip(queries, expected, strict=True)}
    # What has been decoded is known before encoding.
    corpus = read_inventory(canonical.corpus_files)
    hashes = [pixels_sha256(decode(image)) for image in images[:4]]
    assert [pixels.tobytes().hex() for pixels in corpus.pixels] == [*hashes, "00" * 32]


def test_a_page_of_rows_is_decoded_once(tmp_path, monkeypatch):
    """The rows of one page with many questions, decoded again and again."""
    decoded = []

    def counted(image: bytes):
        decoded.append(image)
        return decode(image)

    monkeypatch.setattr("colintern.images.pixels.decode", counted)
    images = [png(seed) for seed in (1, 2, 1, 1, 2, 1)] * 10
    source = _write_rows(tmp_path / "rows" / "train.parquet", images, ["what"] * len(images))
    dataset = DatasetConfig.model_validate({"path": str(source), "name": "set"})
    canonical = CanonicalDataset(made(find_source(dataset, str(tmp_path / "made"))))
    assert len(canonical.documents()) == 2
    assert sorted(decoded) == sorted({png(1), png(2)})


def test_an_ingested_dataset_of_rows_has_every_page_once(tmp_path):
    """The same by `colintern ingest`, which looks at pages in processes of their own."""
    source, images, queries = _three_times(tmp_path)
    out = tmp_path / "out"
    report = ingest([str(source)], str(out), IngestSettings(num_processes=1))
    assert (report.pages, report.duplicates) == (4, [])
    assert len(report.bad) == 1
    dataset = CanonicalDataset(str(out))
    pages = {page.page_id: page.image for _, page in iterate_pages(dataset.corpus_files[0])}
    assert list(pages.values()) == images[:4]
    asked = {query.text: dataset.judgements()[query.query_id] for query in dataset.queries()}
    expected = {text: n for text, n in zip(queries, [0, 1, 2, 3] * 3, strict=False)}
    expected[queries[14]] = 1
    assert {text: [pages[page] for page in found] for text, found in asked.items()} == {
        text: [images[number]] for text, number in expected.items()
    }


def test_ingest_tells_pages_with_equal_pixels(tmp_path):
    """Duplicates that a report left out because they were saved by another program."""
    corpus = corpus_of(tmp_path / "set", [*_images(6), *_images(1)], 4)
    report = ingest([corpus.path], str(tmp_path / "out"), IngestSettings(num_processes=1))
    assert report.pages == 2 * NUM_IMAGES  # their ids are the dataset's: all are written
    assert report.duplicates == [[f"p{n:03d}", f"p{n + 8:03d}"] for n in range(NUM_IMAGES)]


def test_ingest_tells_files_with_equal_pixels(tmp_path):
    """The same for pictures; the hash is that of what stands in the dataset, not in the file."""
    (tmp_path / "in").mkdir()
    picture = decode(png(3, 60, 40))
    for name, keys in {
        "a.png": {"compress_level": 6},
        "b.png": {"compress_level": 1},
        "c.bmp": {},
        "d.jpg": {"quality": 90},
        "e.tif": {"compression": "tiff_lzw"},
    }.items():
        picture.save(tmp_path / "in" / name, **keys)
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned back
    turned.save(tmp_path / "in" / "f.png", exif=exif)
    picture.convert("LA").save(tmp_path / "in" / "g.png")
    Image.fromarray(np.asarray(picture)[..., 0].astype(np.uint16) * 257).save(
        tmp_path / "in" / "h.png"
    )
    out = tmp_path / "out"
    report = ingest([str(tmp_path / "in")], str(out), IngestSettings(num_processes=1))
    assert report.duplicates == [["a.png", "b.png", "c.bmp", "e.tif", "f.png"]]
    pages = [page for _, page in iterate_pages(CanonicalDataset(str(out)).corpus_files[0])]
    assert len(pages) == 8
    for page in pages:
        assert page.pixels_sha256 == pixels_sha256(decode(page.image))
    small = IngestSettings(RenderSettings(max_pixels=800), num_processes=1)
    assert ingest([str(tmp_path / "in")], str(tmp_path / "small"), small).pages == 8
    for _, page in iterate_pages(CanonicalDataset(str(tmp_path / "small")).corpus_files[0]):
        assert page.pixels_sha256 == pixels_sha256(decode(page.image))


def test_an_ingest_of_an_earlier_version_goes_on(tmp_path, monkeypatch):
    """Parts without the column refused, or drawn again."""
    (tmp_path / "in").mkdir()
    for name, level in (("a.png", 6), ("b.png", 6)):
        (tmp_path / "in" / name).write_bytes(png(3, compress_level=level))
    settings, out = IngestSettings(num_processes=1), str(tmp_path / "out")
    assert ingest([str(tmp_path / "in")], out, settings).duplicates == [["a.png", "b.png"]]
    (part,) = Path(out, "corpus").glob("*.parquet")
    pq.write_table(pq.read_table(part).drop_columns("pixels-sha256"), part)
    before = part.read_bytes()
    assert ingest([str(tmp_path / "in")], out, settings).duplicates == [["a.png", "b.png"]]
    assert part.read_bytes() == before


@pytest.mark.parametrize("form", ["beir", "canonical"])
@pytest.mark.parametrize("same", [True, False])
def test_an_id_that_stands_twice_must_show_one_page(tmp_path, form, same):
    """A corpus that lists a page twice, saved anew, refused as if it had two images."""
    corpus = corpus_of(tmp_path / "set", _images(6), 3)
    rows = pq.read_table(Path(corpus.path, "corpus")).to_pylist()
    again = _images(1) if same else _images(1, [0, 1, 2, 3, 4, 77])
    rows += [{**row, "image": {"bytes": image}} for row, image in zip(rows, again, strict=False)]
    (file,) = Path(corpus.path, "corpus").iterdir()
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(file)), file)
    if form == "beir":
        for part in ("corpus", "queries", "qrels"):
            for path in Path(corpus.path, part).iterdir():
                (tmp_path / "beir" / "data").mkdir(parents=True, exist_ok=True)
                path.rename(tmp_path / "beir" / "data" / f"{part}-00000-of-00001.parquet")

    def listed() -> list[bytes]:
        if form == "canonical":  # is read where it stands
            pages = planned(tmp_path)[0].pages
            return read_images([pages.location(row) for row in range(len(pages))])
        dataset = DatasetConfig.model_validate({"path": str(tmp_path / "beir"), "name": "set"})
        folder = made(find_source(dataset, str(tmp_path / "made")))
        return [page.image for _, page in iterate_pages(CanonicalDataset(folder).corpus_files[0])]

    if same:
        assert listed() == _images(6)
    else:
        with pytest.raises(DatasetError, match=r"'corpus-id' p005 .* two (different )?images"):
            listed()
