"""Equal texts are one query in one language, and a query each in several."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colintern.data.writing import IMAGE_TYPE
from colintern.ingestion import IngestSettings, ingest
from colintern.ingestion.page_names import PageNames
from colintern.ingestion.part_file import WrittenPage
from colintern.ingestion.questions import read_questions
from colintern.storage import sha256_of_bytes
from tests.data.helpers import asked, resolve
from tests.helpers import png


def _id(text: str) -> str:
    return sha256_of_bytes(text.encode())[:16]


ROWS = [("Total", "en", 1), ("total", "fr", 2), ("prix", "fr", 2), ("total ", "en", 3)]
ENGLISH, FRENCH = {"Total": {1, 3}}, {"total": {2}, "prix": {2}}


def _write(path, rows) -> None:
    path.parent.mkdir(parents=True)
    texts, languages, pictures = zip(*rows, strict=True)
    images = pa.array([{"bytes": png(n), "path": None} for n in pictures], IMAGE_TYPE)
    pq.write_table(pa.table({"query": texts, "language": languages, "image": images}), path)


def _numbers(dataset) -> dict[str, set[int]]:
    known = {sha256_of_bytes(png(number)): number for number in range(1, 5)}
    return {text: {known[digest] for digest in found} for text, found in asked(dataset).items()}


@pytest.mark.parametrize(("by", "order"), [("config", 1), ("config", -1), ("ingest", 1)])
def test_the_language_is_chosen_before_equal_texts_are_merged(tmp_path, by, order):
    """The French query loses its page, and the English one gets it as well."""
    _write(tmp_path / "set" / "rows.parquet", ROWS[::order])
    for language, texts in (("en", ENGLISH), ("fr", FRENCH)):
        if by == "ingest":
            out = str(tmp_path / language)
            ingest([str(tmp_path / "set")], out, IngestSettings(language=language, num_processes=1))
            dataset = resolve(tmp_path / language, tmp_path)
        else:
            dataset = resolve(tmp_path / "set", tmp_path, language=language)
        found = {text.strip().lower(): pages for text, pages in _numbers(dataset).items()}
        assert found == {text.lower(): pages for text, pages in texts.items()}
        assert {query.query_id for query in dataset.queries()} == {_id(text) for text in found}


def test_equal_texts_in_two_languages_are_two_queries(tmp_path):
    """All languages taken: one query, in the language of the first row, with the pages of both."""
    _write(tmp_path / "set" / "rows.parquet", ROWS)
    dataset = resolve(tmp_path / "set", tmp_path)
    assert [query.language for query in dataset.queries() if query.text == "prix"] == ["fr"]
    assert _numbers(dataset) == {**ENGLISH, **FRENCH}
    ids = {query.text: query.query_id for query in dataset.queries()}
    assert ids["prix"] == _id("prix")
    assert len({*ids.values(), _id("total")}) == 4
    _write(tmp_path / "turned" / "rows.parquet", ROWS[::-1])
    turned = resolve(tmp_path / "turned", tmp_path)
    assert {query.query_id for query in turned.queries()} == set(ids.values())


@pytest.mark.parametrize("languages", [(None, None), ("en", "en"), (None, "en"), ("en", None)])
def test_the_id_of_a_query_in_one_language_stays(tmp_path, languages):
    """Ids that every run and dataset has recorded, and another for each of them."""
    first, second = languages
    _write(tmp_path / "set" / "rows.parquet", [("Total", first, 1), ("total", second, 2)])
    dataset = resolve(tmp_path / "set", tmp_path)
    assert [query.query_id for query in dataset.queries()] == [_id("total")]
    assert _numbers(dataset) == {"Total": {1, 2}}


def test_a_blank_query_of_another_language_is_not_told(tmp_path):
    """Refusals of rows that nobody asked for; or none of those that were."""
    _write(tmp_path / "set" / "rows.parquet", [*ROWS, (" ", "fr", 4), (" ", "en", 4)])
    settings = IngestSettings(language="fr", num_processes=1)
    report = ingest([str(tmp_path / "set")], str(tmp_path / "out"), settings)
    assert [item.name for item in report.bad_queries] == ["query of row 5"]


def test_questions_in_two_languages(tmp_path):
    """The same of a queries file: the first language takes the pages of the second."""
    rows = [
        {"query": "Total", "language": "en", "file": "1.png"},
        {"query": "total", "language": "fr", "file": "2.png"},
        {"query": "prix", "file": "2.png"},
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    pages = [WrittenPage(name, name, 1, "") for name in ("1.png", "2.png")]
    read = read_questions(str(path), PageNames(pages))
    texts = {query.query_id: (query.text, query.language) for query in read.queries}
    assert {(texts[found.query_id], found.page_id) for found in read.judgements} == {
        (("Total", "en"), "1.png"),
        (("total", "fr"), "2.png"),
        (("prix", None), "2.png"),
    }
    assert _id("prix") in texts
