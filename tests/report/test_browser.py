"""The report in a browser: nothing is broken, and what can be pressed does what it says."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from colintern.data.entities import Judgement, Page, Query
from colintern.data.triples import read_triples
from colintern.data.writing import write_dataset
from colintern.records.run_folder import RunFolder
from colintern.report.page import write_report as write_page
from colintern.runs.stages.report import write_report
from tests.browser import DESKTOP, PHONE, looking_at, running_chromium
from tests.helpers import png
from tests.report.helpers import EVIL, RECORDED, write_json, write_results


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(finished) -> str:
    folder = RunFolder(str(finished))
    return Path(write_report(folder.read().config, folder)).as_uri()


@pytest.mark.parametrize(("size", "dark"), [(DESKTOP, False), (PHONE, False), (DESKTOP, True)])
def test_nothing_is_broken_on_any_screen(browser, url, size, dark):
    """An error of the script, a picture that does not show, a table that widens the page."""
    with looking_at(browser, url, size, dark=dark) as seen:
        seen.check()
        images = seen.page.locator(".picture img")
        assert images.count() > 10
        assert all(len(image.get_attribute("src") or "") > 100 for image in images.all())


def test_hostile_texts_break_nothing(browser, run):
    """A page that runs what a question says, or is as wide as it; an id that turns words around."""
    ids = [f"{kind}\N{FROG FACE}" for kind in (EVIL, "<img src=x onerror=alert(1)>", "y" * 300)]
    texts = [*ids, "\u202edesrever", "ما هي الفاتورة؟", "x" * 8_000, "word " * 1_600]
    data = run.parent / "test"
    pages = [Page(page_id, png(number)) for number, page_id in enumerate(ids)]
    queries = [Query(f"{number}{EVIL}", text) for number, text in enumerate(texts)]
    write_dataset(str(data), pages, queries, [Judgement(q.query_id, ids[0], 1) for q in queries])
    document = json.loads((run / "run.json").read_text())
    document["config"]["data"]["eval"] = [{"name": "test", "path": str(data)}]
    write_json(run / "run.json", document)
    for number in (0, 1):
        shown = run / f"round-{number}/eval"
        write_json(shown / "test.json", json.loads((shown / "dev.json").read_text()))
        ranking = ids[:: 1 if number else -1]
        write_results(shown / "test.run.parquet", {query.query_id: ranking for query in queries})
    recorded = replace(RECORDED, evaluated={"dev": 2, "test": 2})
    path = Path(write_page(str(run), recorded))
    assert path.stat().st_size < 1_000_000
    with looking_at(browser, path.as_uri(), PHONE) as seen:
        assert seen.page.locator("#questions tbody tr").count() == len(texts)
        cells = seen.page.locator("#questions td:first-child").all_text_contents()
        assert max(map(len, cells)) < 600
        assert all(any(cell.startswith(text[:20]) for cell in cells) for text in texts)
        seen.page.locator(".picture").first.click()
        assert seen.page.locator("#viewed").text_content() == f"page {ids[0]}"
        seen.check()


def test_every_text_can_be_read(browser, url):
    """Grey on grey: less than the contrast of WCAG 2, level AA."""
    for dark in (False, True):
        with looking_at(browser, url, dark=dark) as seen:
            assert seen.page.evaluate(_FAINT_TEXTS) == []
            seen.page.evaluate("document.querySelector('h1').style.color = '#888'")
            assert seen.page.evaluate(_FAINT_TEXTS) == ([] if dark else [": run"])


# Every element that has text of its own, with the nearest background behind it.
_FAINT_TEXTS = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (value) => (value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([red, green, blue]) =>
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const behind = (element) => {
    for (let own = element; own; own = own.parentElement) {
      const colour = numbers(getComputedStyle(own).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const isText = (node) => node.nodeType === 3 && node.data.trim();
  const contrast = (element) => {
    const own = light(numbers(getComputedStyle(element).color));
    const [low, high] = [own, light(behind(element))].sort((one, other) => one - other);
    return (high + 0.05) / (low + 0.05);
  };
  return [...document.querySelectorAll("body *")]
    .filter((element) => [...element.childNodes].some(isText) && element.checkVisibility())
    .filter((element) => !element.closest("svg, script, :disabled") && contrast(element) < 4.5)
    .map((element) => `${element.className}: ${element.textContent.slice(0, 30)}`);
}"""


def test_a_word_lights_its_regions_and_a_page_opens(browser, url):
    """Words that light nothing; a page that cannot be enlarged, or cannot be closed again."""
    painted = """(canvas) => canvas.toDataURL() !==
        Object.assign(document.createElement("canvas"), {width: 640, height: 640}).toDataURL()"""
    with looking_at(browser, url) as seen:
        example = seen.page.locator(".example").first
        words = example.locator(".chips button")
        assert words.all_text_contents()[0] == "question"
        canvases = [canvas.element_handle() for canvas in example.locator("canvas").all()]
        assert canvases
        assert not any(canvas.evaluate(painted) for canvas in canvases)
        for word in range(words.count()):
            words.nth(word).click()
            assert words.nth(word).get_attribute("aria-pressed") == "true"
            if canvases[0].evaluate(painted):
                break
        assert canvases[0].evaluate(painted)
        example.locator(".picture").first.press("Enter")
        viewer = seen.page.locator("#viewer")
        assert viewer.is_visible()
        assert viewer.locator(".chips button[aria-pressed=true]").count() == 1
        assert viewer.locator("canvas").element_handle().evaluate(painted)
        seen.page.keyboard.press("Escape")
        assert not viewer.is_visible()
        seen.check()


def test_the_table_is_searched_filtered_and_sorted(browser, url):
    """Rows that are missing, or stand in the order of text where numbers are meant."""
    with looking_at(browser, url) as seen:
        page, rows = seen.page, seen.page.locator("#questions tbody tr")
        page.locator("#dataset").select_option("test")
        everything = rows.count()
        assert page.locator("#shown").text_content() == f"{everything} of {everything} questions"
        counts = [
            int((button.text_content() or "").rsplit(" ", 1)[1])
            for button in page.locator("#outcomes button").all()
        ]
        assert counts[0] == sum(counts[1:]) == everything == 8
        page.locator("#sought").fill("QUESTION 3")
        assert rows.count() == 1
        page.locator("#sought").fill("")
        best = page.locator("#questions th.now")
        for order, sign in (("ascending", 1), ("descending", -1)):
            best.locator("button").click()
            assert best.get_attribute("aria-sort") == order
            ranks = [sign * int(text) for text in page.locator("td.now").all_text_contents()]
            assert ranks == sorted(ranks)
            assert len(set(ranks)) > 2
        seen.check()


def test_judgements_are_downloaded(browser, url, finished):
    """Answers that are lost; a file that the setting for judgements cannot read."""
    triples = read_triples(RunFolder(str(finished)).triples(2))
    total = sum(1 for triple in triples if triple.negs)
    with looking_at(browser, url) as seen:
        page = seen.page
        page.locator("#all-pairs").click()
        pairs = page.locator(".pair")
        assert pairs.count() == total > 8
        assert all(pair.is_visible() for pair in pairs.all())
        assert page.locator("#download").is_disabled()
        for number, answer in ((0, "answers it"), (1, "is wrong"), (2, "is wrong")):
            pairs.nth(number).get_by_role("button", name=answer, exact=True).click()
        pairs.nth(1).get_by_role("button", name="answers it").click()  # thought better of
        pairs.nth(2).get_by_role("button", name="is wrong").click()  # taken back
        assert page.locator("#judged").text_content() == f"2 of {total} judged"
        with page.expect_download() as download:
            page.locator("#download").click()
        assert download.value.suggested_filename == "judgements-run.jsonl"
        lines = Path(download.value.path()).read_text().splitlines()
        found = [json.loads(line) for line in lines]
        assert [list(line) for line in found] == [["dataset", "query_id", "page_id", "score"]] * 2
        asked = [pairs.nth(number).get_attribute("data-query") for number in (0, 1)]
        assert [(line["query_id"], line["score"]) for line in found] == [(q, 1) for q in asked]
        assert {line["dataset"] for line in found} == {"train"}
        seen.check()
