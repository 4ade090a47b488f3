"""Makes the pages to learn from, by kind of source: one file of pages for each package and kind."""

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from colintern.errors import UserError
from colintern.log import say
from pretraining.printed import office
from pretraining.printed.corpus import is_held
from pretraining.printed.packages import (
    Package,
    fetch,
    files,
    link_fonts,
    packages,
)
from pretraining.printed.pages import Document, PageFile, write_pages
from pretraining.printed.typeset import Look, Typesetter, typesetter

_MANUAL_PAGES = 40  # of a document that is no collection of many
_WEB_DOCUMENTS = 45  # of a package
_WEB_BYTES = range(6_000, 600_000)
_OFFICE_DOCUMENTS = 2_400
_OFFICE_TEXTS = 4_000
# Lists of everything, and translations: `/de/`, `.fr.`, `-pt_BR.` and the like.
_LEFT_OUT = re.compile(
    r"(genindex|modindex|search|[/._-](ar|ca|cs|da|de|el|es|fa|fi|fr|hu|id|it|ja|ko|nb|nl|pl|pt|"
    r"pt_BR|ro|ru|sr|sv|tr|uk|vi|zh|zh[-_]cn|zh[-_]tw)[/._-])",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[A-Za-z .,]")
_WORD = re.compile(r"[a-z]{3,16}")


class Sources:
    """Everything that pages are made of, in one folder; what is made already is left.

    Args:
        folder: with `packages/`, `fonts/`, `printed/` and `pages/`.
        chromium: the program that prints HTML.
    """

    def __init__(self, folder: Path, chromium: str) -> None:
        self._folder, self._chromium = folder, chromium

    def make(self, own: Path | None) -> None:
        """Fetch the packages, and write the pages of all kinds.

        Args:
            own: a folder of PDF files to take instead of the packages with documents.

        Raises:
            UserError: `own` has no PDF file, or packages cannot be fetched on this machine.
        """
        if own is not None and next(files(own, ".pdf"), None) is None:
            raise UserError(f"{own}: no PDF file in it")
        for name in ("packages", "fonts", "printed", "pages", "scratch"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        for package in packages("font"):
            if unpacked := fetch(package, self._folder / "packages"):
                link_fonts(unpacked, self._folder / "fonts")
        for package in packages("words"):
            fetch(package, self._folder / "packages")
        fonts, scratch = self._folder / "fonts", self._folder / "scratch"
        with typesetter(self._chromium, fonts, scratch) as typeset:
            if own is not None:
                self._write("manual", own.name, self._pdfs(own, "manual", _MANUAL_PAGES))
            else:
                self._packages(typeset)
            self._office(typeset)
        self._manifest()

    def words(self) -> tuple[str, ...]:
        """Plain words of the lists of words, sorted.

        Raises:
            UserError: no list could be fetched.
        """
        found: set[str] = set()
        for package in packages("words"):
            for path in (self._folder / "packages" / package.name).rglob("dict/*"):
                if path.is_file() and not path.is_symlink():
                    text = path.read_text(errors="ignore")
                    found.update(word for word in text.split() if _WORD.fullmatch(word))
        if not found:
            raise UserError("no list of words could be fetched; does `apt-get update` work?")
        return tuple(sorted(found))

    def _packages(self, typeset: Typesetter) -> None:
        for package in packages("tex", "document"):
            unpacked = fetch(package, self._folder / "packages")
            if unpacked is None:
                continue
            kind, most = ("tex", 6) if package.kind == "tex" else ("manual", _MANUAL_PAGES)
            self._write(kind, package.name, self._pdfs(unpacked, kind, most))
            if package.kind == "document":
                self._web(package, unpacked, typeset)

    def _write(self, kind: str, name: str, documents: Iterable[Document]) -> None:
        path = self._folder / "pages" / f"{kind}-{name}.arrow"
        if not path.exists():
            write_pages(documents, path)

    def _pdfs(self, folder: Path, kind: str, most: int) -> Iterator[Document]:
        """The PDF files in a folder, no content twice."""
        seen: set[str] = set()
        for path in files(folder, ".pdf"):
            digest = _sha256(path)
            if digest not in seen:
                seen.add(digest)
                yield Document(path, f"{folder.name}/{path.name}", kind, most)

    def _web(self, package: Package, unpacked: Path, typeset: Typesetter) -> None:
        """HTML documents of a package, each in a look that chance decides."""
        if (self._folder / "pages" / f"web-{package.name}.arrow").exists():
            return
        found = [
            path
            for path in files(unpacked, ".html", ".htm")
            if path.stat().st_size in _WEB_BYTES
            and not _LEFT_OUT.search(str(path.relative_to(unpacked)))
        ]
        draw = random.Random(package.name)
        draw.shuffle(found)
        documents = []
        for number, path in enumerate(found[:_WEB_DOCUMENTS]):
            look = Look.draw(draw)
            printed = self._folder / "printed" / package.name / f"{number:03d}.pdf"
            name = f"web/{package.name}/{path.name}"
            if _printed(printed, lambda path=path, look=look: typeset.file(path, look)):
                documents.append(Document(printed, name, "web", seed=name))
        self._write("web", package.name, documents)

    def _office(self, typeset: Typesetter) -> None:
        """Made-up documents, with words of the lists and prose of the other pages."""
        if (self._folder / "pages/office-made-up.arrow").exists():
            return
        texts = [
            text
            for path in sorted((self._folder / "pages").glob("*.arrow"))
            for document, text in self._documents_and_texts(path)
            if not is_held(document) and len(_PLAIN.findall(text)) > 0.93 * len(text)
        ]
        draw = random.Random("texts")
        chosen = tuple(draw.sample(texts, min(_OFFICE_TEXTS, len(texts))))
        documents = []
        for name, document in office.documents(self.words(), chosen, "office", _OFFICE_DOCUMENTS):
            look = Look.draw(random.Random(name), document.paper)
            printed = self._folder / "printed/office" / f"{name}.pdf"
            if _printed(printed, lambda html=document.html, look=look: typeset.text(html, look)):
                documents.append(
                    Document(printed, f"office/{name}", "office", seed=name, is_made_up=True)
                )
        self._write("office", "made-up", documents)

    def _documents_and_texts(self, path: Path) -> Iterator[tuple[str, str]]:
        file = PageFile(path)
        return zip(file.column("document"), file.column("text"), strict=True)

    def _manifest(self) -> None:
        """Note what pages were made of: each document's hash, and the packages' versions."""
        pages = sorted((self._folder / "pages").glob("*.arrow"))
        document = {
            "packages": [
                (self._folder / "packages" / package.name / "version").read_text()
                for package in packages("tex", "document", "font", "words")
                if (self._folder / "packages" / package.name / "version").exists()
            ],
            "pages": {path.stem: _page_counts(PageFile(path)) for path in pages},
            "sha256": {path.stem: _sha256(path) for path in pages},
        }
        (self._folder / "manifest.json").write_text(json.dumps(document, indent=1))
        say("pages", "%d pages", sum(sum(kinds.values()) for kinds in document["pages"].values()))


def _printed(path: Path, make: Callable[[], bytes | None]) -> bool:
    """Print a file unless it is there; whether it is there then."""
    if not path.exists():
        data = make()
        if data is None:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".fresh")
        fresh.write_bytes(data)
        fresh.rename(path)
    return True


def _page_counts(file: PageFile) -> dict[str, int]:
    counts: dict[str, int] = {}
    for document in file.column("document"):
        counts[document] = counts.get(document, 0) + 1
    return counts


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
