"""Pages of ours in a headless Chromium, and whatever is wrong with them there.

Debian's package `chromium` is enough (`.ci/run` installs it when it is root), or another one, whose
path is in COLINTERN_CHROMIUM. Where there is none, these tests are skipped, and say so; with
COLINTERN_BROWSER_TESTS=required, as `.ci/run` sets it once Chromium is there, they fail instead.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

DESKTOP, PHONE = (1280, 900), (390, 844)
_WAIT_MILLISECONDS = 30_000
_BROKEN_IMAGES = """async () => {
    const broken = [];
    for (const image of document.images)
        if (image.getAttribute("src"))
            await image.decode().catch(() => broken.push(image.src.slice(0, 80)));
    return broken;
}"""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A Chromium for the length of a `with` block, of one module at most.

    While it is there, no event loop can be started in this thread: Playwright's own runs in it.
    """
    path = os.environ.get("COLINTERN_CHROMIUM") or shutil.which("chromium")
    if not path:
        words = "no Chromium: apt-get install chromium, or set COLINTERN_CHROMIUM to its path"
        if os.environ.get("COLINTERN_BROWSER_TESTS") == "required":
            pytest.fail(words)
        pytest.skip(words)
    with sync_playwright() as playwright:
        # In a container it is root, for whom Chromium's own sandbox does not start.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Seen:
    """A page that is looked at.

    Attributes:
        page: Playwright's page.
        troubles: errors and warnings of the console, errors of scripts, requests that failed, and
            requests to another host than the page's.
    """

    page: Page
    troubles: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Make sure that nothing is wrong, no image is broken, and nothing wider than the page."""
        assert self.troubles == []
        assert self.page.evaluate(_BROKEN_IMAGES) == []
        widths = "() => [document.documentElement.scrollWidth, innerWidth]"
        wide, seen = self.page.evaluate(widths)
        assert wide <= seen


@contextmanager
def looking_at(
    browser: Browser, url: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False
) -> Iterator[Seen]:
    """A page in a window of its own, watched from its first request on."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        has_touch=size == PHONE,
    )
    context.set_default_timeout(_WAIT_MILLISECONDS)
    seen = Seen(context.new_page())
    seen.page.on("console", lambda message: _hear(seen, message))
    seen.page.on("pageerror", lambda error: seen.troubles.append(f"script: {error}"))
    seen.page.on("request", lambda request: _follow(seen, url, request))
    seen.page.on("requestfailed", lambda request: _failed(seen, request))
    seen.page.goto(url)
    yield seen
    context.close()


def _hear(seen: Seen, message: ConsoleMessage) -> None:
    if message.type in {"error", "warning"}:
        seen.troubles.append(f"console: {message.text}")


def _follow(seen: Seen, url: str, request: Request) -> None:
    to = urlsplit(request.url)
    if to.scheme not in {"data", "blob"} and to.netloc != urlsplit(url).netloc:
        seen.troubles.append(f"another host: {request.url}")


def _failed(seen: Seen, request: Request) -> None:
    if request.failure != "net::ERR_ABORTED":  # by the page itself: what nobody waits for any more
        seen.troubles.append(f"failed: {request.url} {request.failure}")
