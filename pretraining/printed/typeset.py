"""Office-like documents: HTML, of packages or our own, printed to PDF by Chromium in many fonts.

TeX sets most of the free PDF files there are. What people have in their folders is set in other
fonts, with tables, boxes and columns.
"""

import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

from playwright.sync_api import Browser, Error, sync_playwright

_SECONDS = 20  # that one document may take
_FIRST_PAGES = "1-6"
_MARGIN = "15mm"
_PAPER = {"A4": (8.27, 11.69), "Letter": (8.5, 11), "Slide": (10, 7.5), "Wide": (13.33, 7.5)}
SANS = (
    "Liberation Sans", "Carlito", "DejaVu Sans", "Roboto", "Open Sans", "Lato", "Arimo",
    "Noto Sans", "Inter", "Nimbus Sans", "TeX Gyre Heros", "Cantarell", "FreeSans", "Andika",
)  # fmt: skip
SERIF = (
    "Liberation Serif", "Caladea", "DejaVu Serif", "Linux Libertine O", "Tinos", "Noto Serif",
    "EB Garamond", "Nimbus Roman", "C059", "P052", "TeX Gyre Termes", "TeX Gyre Pagella",
    "TeX Gyre Bonum", "FreeSerif", "Charis SIL", "Vollkorn", "Junicode", "Old Standard",
)  # fmt: skip
MONO = (
    "Liberation Mono", "DejaVu Sans Mono", "Inconsolata", "Fira Code", "Hack", "Nimbus Mono PS",
    "JetBrains Mono", "FreeMono", "TeX Gyre Cursor", "Cousine",
)  # fmt: skip
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_END = re.compile(r"</body\s*>", re.IGNORECASE)
_COMMON = 0.5  # of the documents are set in what office programs begin with
_OFFICE = ("Liberation Sans", "Liberation Serif", "Carlito", "Caladea")


@dataclass(frozen=True)
class Look:
    """How a document is set.

    Attributes:
        paper: a name of the sizes.
        css: a style sheet that is added to the document's own.
    """

    paper: str
    css: str

    @staticmethod
    def draw(draw: random.Random, paper: str | None = None) -> "Look":
        """One that chance decides. Chromium prints one page alone of what stands in columns."""
        office = draw.random() < _COMMON
        body = draw.choice(_OFFICE if office else draw.choice((SANS, SERIF)))
        heading = body if draw.random() < 0.6 else draw.choice(draw.choice((SANS, SERIF)))
        columns = draw.choices(("auto", 2, 3), (75, 20, 5))[0]
        return Look(
            paper or draw.choice(("A4", "Letter")),
            _CSS.format(
                body=body,
                heading=heading,
                mono=draw.choice(MONO),
                points=draw.choice((9, 10, 10, 11, 11, 12)),
                height=draw.choice((1.1, 1.2, 1.35, 1.5)),
                align=draw.choice(("left", "left", "justify")),
                columns=columns,
                border=draw.choice(("1px solid #444", "1px solid #bbb", "none")),
                head=draw.choice(("#fff; color: #000", "#eee", "#d8e2f0", "#333; color: #fff")),
                heading_ink=draw.choice(("#000", "#000", "#223a70")),
            ),
        )


_CSS = """
* {{ font-family: '{body}' !important; position: static !important; float: none !important; }}
h1, h2, h3, h4, h1 *, h2 *, h3 * {{ font-family: '{heading}' !important; color: {heading_ink}; }}
pre, code, tt, kbd, samp, pre * {{ font-family: '{mono}' !important; }}
html, body {{ font-size: {points}pt; line-height: {height}; background: #fff; color: #000;
  margin: 0 !important; padding: 0 !important; width: auto !important; }}
body {{ text-align: {align}; columns: {columns}; column-gap: 7mm; }}
p, li, td, dd, dt {{ font-size: 1em; }}
pre {{ white-space: pre-wrap; font-size: .9em; }}
table {{ border-collapse: collapse; }}
td, th {{ border: {border}; padding: .15em .5em; text-align: left; }}
th {{ background: {head}; }}
nav, header, footer, script, iframe, video, .sphinxsidebar, .related, .navheader, .navfooter,
.sidebar, .toolbar, form[role=search] {{ display: none !important; }}
img {{ max-width: 100%; max-height: 40mm; }}
"""


@contextmanager
def typesetter(chromium: str, fonts: Path, scratch: Path) -> Iterator["Typesetter"]:
    """A Chromium that knows the fonts in a folder, for the length of a `with` block.

    Args:
        chromium: the program.
        fonts: where fonts are looked for.
        scratch: a folder for what Chromium remembers of them.
    """
    config = scratch / "fonts.conf"
    config.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"<dir>{escape(str(fonts))}</dir><cachedir>{escape(str(scratch))}</cachedir></fontconfig>"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu"],
            env={**os.environ, "FONTCONFIG_FILE": str(config)},
        )
        try:
            yield Typesetter(browser, scratch / "document.html")
        finally:
            browser.close()


class Typesetter:
    """Prints documents to PDF.

    Args:
        browser: does it; scripts do not run, and nothing is fetched.
        path: of a file that it may write.
    """

    def __init__(self, browser: Browser, path: Path) -> None:
        self._context = browser.new_context(java_script_enabled=False, offline=True)
        self._context.set_default_timeout(_SECONDS * 1_000)
        self._page, self._path = self._context.new_page(), path

    def file(self, path: Path, look: Look) -> bytes | None:
        """The first pages of an HTML file as PDF; None if it cannot be printed."""
        html = path.read_text(errors="replace")
        return self._printed(f'<base href="{path.as_uri()}">', html, look, _FIRST_PAGES)

    def text(self, html: str, look: Look) -> bytes | None:
        """HTML as PDF; None if it cannot be printed."""
        return self._printed("", html, look, "")

    def _printed(self, base: str, html: str, look: Look, pages: str) -> bytes | None:
        self._path.write_text(with_style(html, look.css, base))
        width, height = _PAPER[look.paper]
        try:
            self._page.goto(self._path.as_uri(), wait_until="load")
            return self._page.pdf(
                width=f"{width}in",
                height=f"{height}in",
                page_ranges=pages,
                print_background=True,
                margin={"top": _MARGIN, "right": _MARGIN, "bottom": _MARGIN, "left": _MARGIN},
            )
        except Error:
            with suppress(Error):  # a page that has crashed, or still loads, prints nothing more
                self._page.close()
            self._page = self._context.new_page()
            return None


def with_style(html: str, css: str, head: str = "") -> str:
    """HTML with a style sheet behind its own, as the last one wins.

    One that is added to a page that is open would need scripts.

    Args:
        html: a document, or the content of one.
        css: the style sheet.
        head: elements that stand before everything else, but for the document type.
    """
    kind = _DOCTYPE.match(html)
    start = kind.end() if kind else 0
    ends = [found.start() for found in _END.finditer(html)]
    end = ends[-1] if ends else len(html)
    before, after = html[start:end], html[end:]
    return f'{html[:start]}<meta charset="utf-8">{head}{before}<style>{css}</style>{after}'
