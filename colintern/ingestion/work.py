"""What all parts of an ingest know of it: how it is done, what stands there, what must not go."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from colintern import storage
from colintern.data.canonical import DATASET_DONE
from colintern.errors import DatasetError, TooManyBadPagesError
from colintern.ingestion.drawn import RenderSettings
from colintern.ingestion.findings import Report
from colintern.ingestion.sources import prefixes_of
from colintern.ingestion.standing import Standing
from colintern.ingestion.swap import beside


@dataclass(frozen=True)
class IngestSettings:
    """How to ingest.

    Attributes:
        render: what pages look like.
        queries: a queries file; None leaves the questions that are there: of a new dataset none.
        split: of a dataset that holds several.
        language: only the queries of this language, of a dataset.
        num_processes: that render; one PDFium each.
        max_bad_fraction: stop with an error when a larger share is bad.
        config: of a dataset that has several configurations.
        relevant_from: from which score on a page is relevant; None takes whole numbers as they are.
        replace: pages and questions that are in the dataset already may go.
    """

    render: RenderSettings = field(default_factory=RenderSettings)
    queries: str | None = None
    split: str | None = None
    language: str | None = None
    num_processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    max_bad_fraction: float = 1.0
    config: str | None = None
    relevant_from: float | None = None
    replace: bool = False


@dataclass(frozen=True)
class Work:
    """One ingest: what is there, of what it is made, how, and the check before anything is written.

    What is made for a dataset that was finished before is built beside it.
    """

    standing: Standing
    sources: Sequence[str]
    settings: IngestSettings
    check: Callable[[], None]

    @property
    def begun(self) -> dict[str, Any]:
        """The content of `ingest.json`."""
        prefixes = {**prefixes_of(self.sources), **self.standing.prefixes}
        return {"sources": list(self.sources), "prefixes": prefixes}

    @property
    def unnamed_folders(self) -> list[str]:
        """The last parts of sources that the names of their files do not begin with.

        Such a source was once the only one. Beside others it may be named in a queries file.
        """
        known = self.standing.prefixes
        return [
            name
            for source, name in prefixes_of(self.sources).items()
            if name and known.get(source) == ""
        ]

    @property
    def build(self) -> str:
        """The folder in which new files are written."""
        out = self.standing.folder
        return out if self.standing.is_first else beside(out)

    def refuse(self, lost: str | None) -> None:
        """Make sure that nothing is lost that the user wants to keep.

        Raises:
            DatasetError: something would be.
        """
        if lost and self.standing.report is not None and not self.settings.replace:
            raise DatasetError(
                f"--out {self.standing.folder}: {lost}; choose another --out, or let it happen "
                "with --replace"
            )

    def check_bad(self, report: Report) -> None:
        """Make sure that not too much is bad; a report that says so stands beside the new pages.

        Raises:
            TooManyBadPagesError: no page could be written, or too few; a dataset that was there
                stays as it is.
        """
        path = storage.join(self.build, DATASET_DONE)
        try:
            _check_bad_fraction(report, self.settings.max_bad_fraction, path)
        except TooManyBadPagesError:
            self.check()
            storage.write_json(path, report.document())
            raise


def _check_bad_fraction(report: Report, limit: float, path: str) -> None:
    if report.pages == 0:
        reason = report.bad[0].line() if report.bad else "the sources are empty"
        raise TooManyBadPagesError(f"no page could be written; the first reason: {reason}")
    if report.bad_fraction > limit:
        raise TooManyBadPagesError(
            f"{report.bad_fraction:.1%} of the pages are bad, more than "
            f"--max-bad-fraction={limit} allows; {path} lists them with their reasons"
        )
