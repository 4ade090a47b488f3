"""The demo corpus: deterministic, fairly judged, and split so that nothing leaks."""

import hashlib
import json
import sysconfig

import pytest
from PIL import Image

from colintern.data.canonical import CanonicalDataset, iterate_pages
from colintern.data.demo import demo_counts, write_demo
from colintern.data.demo.build import build_split
from colintern.data.demo.fields import FIELD_NAMES
from colintern.data.demo.prose import passages, word_runs
from colintern.data.demo.queries import words
from colintern.data.demo.render import MARGIN, num_rows, text_width
from colintern.images.decode import decode

SPLITS = ("train", "dev", "test")
# Of every page's id and text and every query of a split, as version 5 has always had them.
TEXTS_SHA256 = {
    "train": "f2283dc67ba1ae08576fa06cb92aac224f1f42071d081a0a4a2d505e5a50f18b",
    "dev": "f153a4a9d88e752b3ccfa37ff544a0bd35ae9510458d1b5973adff6f68eeda47",
    "test": "83355a3954d0a6fd9b3959ad44887662a10ad32448264a89264b6ffdf9506ea3",
}


@pytest.fixture(scope="module")
def built():
    return {split: build_split("demo-small", split) for split in SPLITS}


def test_the_same_bytes_every_time(tmp_path):
    """A corpus that differs between two machines or two days."""
    for name in ("one", "two"):
        write_demo(str(tmp_path / name), "demo-small", "dev")
    for path in sorted((tmp_path / "one").rglob("*.*")):
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == twin.read_bytes()
    details = json.loads((tmp_path / "one" / "dataset.json").read_text())
    dataset = CanonicalDataset(str(tmp_path / "one"))
    assert len(dataset.documents()) == details["pages"] == 60
    assert len(dataset.queries()) == details["queries"] == 60


def test_the_same_texts_under_every_python(monkeypatch, tmp_path):
    """A corpus that prints the Python that runs: under 3.12, 1,968 of 2,000 queries were others."""
    (tmp_path / "only.py").write_text('"""This library has only one module, and this sentence."""')
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path))
    passages.cache_clear()
    for split in SPLITS:
        pages, queries = build_split("demo", split)
        texts = [[page.page_id, page.text] for page in pages] + [query.text for query in queries]
        assert hashlib.sha256(json.dumps(texts).encode()).hexdigest() == TEXTS_SHA256[split]


def test_splits_share_no_module_no_text_and_no_value(built):
    """A test page whose text or name was seen in training."""
    modules = {s: {p.module.split(".")[0] for p in passages()[s]} for s in SPLITS}
    runs = {s: set().union(*(word_runs(p.text) for p in passages()[s])) for s in SPLITS}
    for first, second in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert modules[first]
        assert not modules[first] & modules[second]
        assert not runs[first] & runs[second]
        for field in FIELD_NAMES:
            values = [
                {page.fields.value(field) for page in built[split][0] if page.fields}
                for split in (first, second)
            ]
            assert values[0]
            assert not values[0] & values[1]


def test_counts_are_those_of_what_is_written(tmp_path):
    """A plan of the demo that is another before the demo is written than after it."""
    counts = demo_counts("demo-small", "dev")
    write_demo(str(tmp_path), "demo-small", "dev")
    dataset = CanonicalDataset(str(tmp_path))
    assert counts.num_pages == len(dataset.documents())
    assert sorted(counts.texts) == sorted(query.text for query in dataset.queries())
    assert counts.num_pairs == sum(len(own) for own in dataset.judgements().values())
    (_, page), *_ = iterate_pages(dataset.corpus_files[0])
    assert decode(page.image).size == (counts.side, counts.side)


def test_judgements_are_complete(tmp_path):
    """A page that answers a query and is not judged, so that finding it counts as a mistake."""
    write_demo(str(tmp_path), "demo-small", "test")
    _, queries = build_split("demo-small", "test")
    dataset = CanonicalDataset(str(tmp_path))
    judgements = dataset.judgements()
    rows = [row for file in dataset.corpus_files for row in _texts(file)]
    texts = {page_id: f" {' '.join(words(text))} " for page_id, text in rows}
    asked = {query.text: query.asked for query in queries}
    several = 0
    for query in dataset.queries():
        wanted = [f" {' '.join(words(phrase))} " for phrase in asked[query.text]]
        answers = {page for page, text in texts.items() if all(want in text for want in wanted)}
        assert judgements[query.query_id].keys() == answers
        assert answers
        several += len(answers) > 1
    assert several > 5


def test_families_look_alike_and_queries_are_varied(built):
    """Families that differ in more than their fields; queries that are verbatim titles."""
    pages, queries = built["train"]
    bodies: dict[str, set[str]] = {}
    for page in pages:
        if page.fields:
            bodies.setdefault(page.family, set()).add(page.body)
    assert len(bodies) == 16
    assert all(len(found) == 1 for found in bodies.values())
    lines = {line.left for page in pages for line in page.lines}
    assert not lines & {query.text for query in queries}
    assert {query.kind for query in queries} == {
        "one-field",
        "two-fields",
        "three-fields",
        "field-and-prose",
        "prose",
    }


def test_nothing_is_cut_off(built):
    """Text that runs over the edge of the page or into the text at the right."""
    whole = [build_split("demo", split) for split in SPLITS]
    for pages, _ in [*built.values(), *whole]:
        for page in pages:
            assert len(page.lines) <= num_rows(224)
            for line in page.lines:
                assert text_width(line.left) + text_width(line.right) <= 224 - 2 * MARGIN


def test_long_pages_are_several_tiles(tmp_path):
    """A long variant that is one tile after all."""
    write_demo(str(tmp_path), "demo-long", "dev")
    file = CanonicalDataset(str(tmp_path)).corpus_files[0]
    pictures = [decode(page.image) for _, page in iterate_pages(file)]
    assert {picture.size for picture in pictures} == {(448, 448)}
    assert all(isinstance(picture, Image.Image) for picture in pictures)


def _texts(file: str):
    import pyarrow.parquet as pq

    table = pq.read_table(file, columns=["corpus-id", "text"])
    return zip(table["corpus-id"].to_pylist(), table["text"].to_pylist(), strict=True)
