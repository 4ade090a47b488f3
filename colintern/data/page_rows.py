"""Pages by where they stand in a corpus: only what is asked for is read."""

from collections.abc import Iterator, Sequence
from itertools import islice

from colintern.data.canonical import PageLocation
from colintern.data.page_texts import TEXT_COLUMNS, text_of
from colintern.data.parquet import open_parquet, rows_of


def page_locations(files: Sequence[str]) -> Iterator[tuple[str, PageLocation]]:
    """Page id and place of every row of corpus files, in their order; no image is read."""
    for file in files:
        with open_parquet(file, ["corpus-id"]) as parquet:
            for group in range(parquet.num_row_groups):
                for index, row in enumerate(rows_of(parquet, file, ["corpus-id"], group)):
                    yield str(row["corpus-id"]), PageLocation(file, group, index)


def read_texts(locations: Sequence[PageLocation]) -> list[str | None]:
    """The texts of the pages at `locations`, in their order; None where a page has none."""
    wanted: dict[tuple[str, int], dict[int, int]] = {}
    for position, place in enumerate(locations):
        wanted.setdefault((place.file, place.row_group), {})[place.row] = position
    texts: list[str | None] = [None] * len(locations)
    for (file, group), rows in wanted.items():
        with open_parquet(file, ["corpus-id"], TEXT_COLUMNS) as parquet:
            found = rows_of(parquet, file, ["corpus-id", *TEXT_COLUMNS], group)
            for index, row in enumerate(islice(found, max(rows) + 1)):
                if index in rows:
                    texts[rows[index]] = text_of(row)
    return texts
