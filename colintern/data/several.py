"""Several configurations that are one dataset: the same pages, asked about in several languages.

mteb's copies of ViDoRe v3 have a configuration for each language, each with its own copy of the
corpus. Read one by one they would be encoded six times. Read together, the corpus is that of the
first, and every question keeps its configuration as its language, and in its id.
"""

from collections.abc import Iterable
from itertools import islice

from colintern import storage
from colintern.data.entities import Judgement, Query
from colintern.data.layouts import Layout
from colintern.data.parquet import image_bytes, stream_columns, stream_rows
from colintern.errors import DatasetError

_COMPARED_IMAGES = 8  # from the beginning of each corpus: whole corpora would be read twice


def configurations(layout: Layout) -> dict[str | None, Layout]:
    """Each configuration of a layout by its name; one alone has the name None."""
    return {layout.configuration: layout, **layout.beside}


def check_same_pages(layout: Layout) -> None:
    """Make sure that the configurations have the same pages: equal ids, and equal first images.

    Raises:
        DatasetError: one has other pages than the first.
    """
    files = layout.parts["corpus"]
    others = {name: own for name, own in layout.beside.items() if own.parts["corpus"] != files}
    if not others:
        return
    ids, images = _ids(files), _first_images(files)
    for name, other in others.items():
        other_files = other.parts["corpus"]
        differing = ids ^ _ids(other_files)
        own_images = _first_images(other_files)
        shared = images.keys() & own_images.keys()
        differing |= {page_id for page_id in shared if images[page_id] != own_images[page_id]}
        if differing:
            raise DatasetError(
                f"{other_files[0]}: the configuration {name} has other pages than "
                f"{layout.configuration} ({len(differing):,} differ, such as {min(differing)}); "
                f"make it a dataset of its own: config: {name}"
            )


def named(configuration: str | None, queries: Iterable[Query]) -> list[Query]:
    """Queries with their configuration in their ids, and as their language if none is known."""
    if configuration is None:
        return list(queries)
    return [
        Query(
            _id(configuration, query.query_id),
            query.text,
            query.language or configuration,
            query.source,
        )
        for query in queries
    ]


def named_judgements(configuration: str | None, judgements: Iterable[Judgement]) -> list[Judgement]:
    """The judgements of queries that `named` has renamed."""
    if configuration is None:
        return list(judgements)
    return [
        Judgement(_id(configuration, judged.query_id), judged.page_id, judged.score)
        for judged in judgements
    ]


def _id(configuration: str, query_id: str) -> str:
    return f"{configuration}-{query_id}"


def _ids(files: list[str]) -> set[str]:
    batches = stream_columns(files, ["corpus-id"], ["doc-id"])
    return {page_id for batch in batches for page_id in batch.column(0).to_pylist()}


def _first_images(files: list[str]) -> dict[str, str]:
    """The hashes of some images by their ids."""
    rows = islice(stream_rows(files, ["corpus-id", "image"]), _COMPARED_IMAGES)
    return {
        str(row["corpus-id"]): storage.sha256_of_bytes(image_bytes(row["image"])) for row in rows
    }
