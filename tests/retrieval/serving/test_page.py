"""The page, as a person uses it in a browser."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from playwright.sync_api import expect

from colintern.errors import BusyError
from colintern.retrieval.serving.api import make_app
from tests.browser import DESKTOP, PHONE, looking_at, running_chromium
from tests.retrieval.serving.helpers import AskHere, Raises, is_ready

TOKEN = "0123456789abcdef"
QUERY = "question 3 <b>of</b> many"


@pytest.fixture(scope="module")
def chromium():
    """One browser for the tests of this module."""
    with running_chromium() as browser:
        yield browser


@contextmanager
def _served(app) -> Iterator[str]:
    """An application at a free port of this machine; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def url(api) -> Iterator[str]:
    """The address of the page."""
    with _served(api) as address:
        yield address


def _search(seen, text: str = QUERY) -> list[str]:
    """Search with the mouse; the ids of the pages that are shown, once all pictures are there."""
    seen.page.get_by_role("searchbox").fill(text)
    seen.page.get_by_role("button", name="Search").click()
    return _hits(seen)


def _hits(seen) -> list[str]:
    pages = seen.page.locator(".hit")
    expect(pages).not_to_have_count(0)
    expect(pages.locator("img")).to_have_count(pages.count())
    return pages.locator(".name").all_inner_texts()


def _drawn(seen) -> str:
    """The address of the large picture, once it is drawn."""
    expect(seen.page.locator("#page-note")).not_to_have_text("Drawing …")
    expect(seen.page.locator("#large")).to_be_visible()
    return seen.page.locator("#large").get_attribute("src")


@pytest.mark.parametrize(
    ("size", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False), (PHONE, True)]
)
def test_a_search_and_a_heat_map(chromium, url, retriever, size, dark):
    """A page wider than a phone, with things from elsewhere, or with pictures that are broken."""
    with looking_at(chromium, url, size, dark=dark) as seen:
        hits = retriever.search([QUERY], 10)[0]
        assert _search(seen) == [hit.page_id for hit in hits]
        assert f"{hits[0].score:.4f}" in seen.page.locator(".hit").first.inner_text()
        assert "6 best pages of test" in seen.page.locator("#status").inner_text()
        seen.check()
        seen.page.locator(".hit").nth(1).click()
        drawn = {_drawn(seen)}
        words = seen.page.get_by_role("radio")
        assert words.count() == len(QUERY.split()) + 2
        for word in ("3", "no colours"):
            seen.page.get_by_role("radio", name=word, exact=True).check()
            drawn.add(_drawn(seen))
        assert len(drawn) == 3
        assert seen.page.locator("dialog b").count() == 0  # the question is text
        seen.check()


def test_a_heat_map_by_keyboard_alone(chromium, url):
    """A page that nobody can use without a mouse, or a focus that is lost when a page is closed."""
    with looking_at(chromium, url) as seen:
        focused = "document.activeElement.id || document.activeElement.dataset.page"
        assert seen.page.evaluate(focused) == "query"
        seen.page.keyboard.type(QUERY)
        seen.page.keyboard.press("Enter")
        first, *_ = _hits(seen)
        for _ in range(10):
            seen.page.keyboard.press("Tab")
            if seen.page.evaluate(focused) == first:
                break
        assert seen.page.evaluate(focused) == first
        seen.page.keyboard.press("Enter")
        whole = _drawn(seen)
        seen.page.keyboard.press("ArrowRight")
        assert seen.page.evaluate("document.activeElement.value") == "1"
        assert _drawn(seen) != whole
        seen.page.keyboard.press("Escape")
        assert seen.page.locator("dialog[open]").count() == 0
        assert seen.page.evaluate(focused) == first
        seen.check()


def test_the_address_of_a_search_can_be_shared(chromium, url):
    """A link that shows an empty page to whoever gets it, or a back button that leaves the site."""
    with looking_at(chromium, url) as seen:
        shown = _search(seen)
        searched = seen.page.url
        seen.page.locator(".hit").nth(2).click()
        _drawn(seen)
        opened = seen.page.url
        seen.page.go_back()
        expect(seen.page.locator("dialog")).to_be_hidden()
        seen.page.wait_for_url(searched)
        seen.page.go_forward()
        seen.page.wait_for_selector("dialog[open]")
        seen.page.get_by_role("button", name="Close").click()
        seen.page.wait_for_url(searched)
    with looking_at(chromium, opened) as seen:
        _drawn(seen)
        assert seen.page.locator("#page-name").inner_text() == shown[2]
        assert seen.page.get_by_role("searchbox").input_value() == QUERY
        assert _hits(seen) == shown
        seen.check()


def test_the_page_asks_for_the_token(chromium, answering):
    """A page that shows nothing, and no word why, where a token is needed."""
    with (
        _served(make_app(AskHere(answering), is_ready, TOKEN)) as url,
        looking_at(chromium, url) as seen,
    ):
        seen.page.get_by_role("searchbox").fill("question")
        seen.page.keyboard.press("Enter")
        field = seen.page.get_by_label("This server asks for its token")
        field.wait_for(state="visible")
        assert "token is missing or wrong" in seen.page.locator("#status").inner_text()
        assert seen.page.evaluate("document.activeElement.id") == "token"
        field.fill(TOKEN)
        seen.page.keyboard.press("Enter")
        assert len(_hits(seen)) == 6
        assert TOKEN not in seen.page.url
        assert not field.is_visible()
        assert all("401" in trouble for trouble in seen.troubles)


def test_the_words_of_a_long_question_leave_room_for_the_page(chromium, url):
    """Hundreds of words to choose from, and the page below them, out of sight."""
    with looking_at(chromium, url, PHONE) as seen:
        _search(seen, "word " * 400)
        seen.page.locator(".hit").first.click()
        _drawn(seen)
        expect(seen.page.locator("#large")).to_be_in_viewport()
        seen.check()


def test_a_server_that_is_gone_is_told(chromium, answering):
    """An empty page that looks as if it were being drawn, or results of before."""
    with ExitStack() as serving:
        url = serving.enter_context(_served(make_app(AskHere(answering), is_ready, None)))
        with looking_at(chromium, url) as seen:
            _search(seen)
            serving.close()
            seen.page.locator(".hit").first.click()
            expect(seen.page.locator("#page-note.error")).to_contain_text("does not answer")
            seen.page.keyboard.press("Escape")
            seen.page.get_by_role("button", name="Search").click()
            expect(seen.page.locator("#status.error")).to_contain_text("does not answer")
            expect(seen.page.locator(".hit")).to_have_count(0)


def test_what_the_server_refuses_is_told(chromium):
    """Results of the search before, under a question that was never answered."""
    with (
        _served(make_app(Raises(BusyError("too much")), is_ready, None)) as url,
        looking_at(chromium, url) as seen,
    ):
        seen.page.get_by_role("searchbox").fill("question")
        seen.page.keyboard.press("Enter")
        seen.page.get_by_text("The server is busy. Try again in a moment.").wait_for()
        assert seen.page.locator("#status.error").count() == 1
        assert all("503" in trouble for trouble in seen.troubles)


def test_texts_of_both_colour_schemes_can_be_read(chromium, url):
    """Grey on grey: less contrast than WCAG's 4.5 for a text."""
    for dark in (False, True):
        with looking_at(chromium, url, dark=dark) as seen:
            colours = seen.page.evaluate(
                "() => { const style = getComputedStyle(document.documentElement); return "
                "Object.fromEntries(['ground', 'paper', 'ink', 'quiet', 'accent', 'on-accent', "
                "'error', 'wash'].map((name) => [name, style.getPropertyValue('--' + name)])); }"
            )
            pairs = [("on-accent", "accent")]
            pairs += [(text, "ground") for text in ("ink", "quiet", "error", "accent")]
            pairs += [(text, "paper") for text in ("ink", "quiet", "accent")]
            pairs += [("quiet", "wash")]
            for text, behind in pairs:
                contrast = _contrast(colours[text], colours[behind])
                assert contrast >= 4.5, f"{text} on {behind}: {contrast:.2f}; {json.dumps(colours)}"


def _contrast(one: str, other: str) -> float:
    """By WCAG 2."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    (digits,) = re.fullmatch(r"\s*#([0-9a-f]{6})\s*", colour).groups()
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
