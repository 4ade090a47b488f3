"""Quality against size: the ladders of a run, as the report shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from colintern import storage
from colintern.records.run_folder import RunFolder
from colintern.report.charts import ladder_chart


@dataclass(frozen=True)
class ShownLadder:
    """The kinds of vectors that were measured on a dataset.

    Attributes:
        document: as `colintern ladder` has written it.
        svg: a drawing of all rows.
    """

    document: Mapping[str, Any]
    svg: Markup

    @property
    def best(self) -> list[Mapping[str, Any]]:
        """The rows on the frontier, and the full vectors, which others are compared with."""
        rows = self.document["rows"]
        return [row for row in rows if row["is_on_frontier"] or row["difference"] is None]


def shown_ladders(folder: RunFolder, datasets: Sequence[str]) -> list[ShownLadder]:
    """The ladders of some datasets.

    Args:
        folder: of the run.
        datasets: their names; each has a ladder.
    """
    documents = [storage.read_json(folder.ladder(dataset)) for dataset in datasets]
    return [ShownLadder(document, Markup(ladder_chart(document["rows"]))) for document in documents]
