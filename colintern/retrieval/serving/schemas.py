"""The bodies of requests and answers, as the OpenAPI document describes them."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from colintern.data.text import bad_query_reason
from colintern.retrieval.serving.limits import (
    MAX_CHARACTERS,
    MAX_ID_CHARACTERS,
    MAX_K,
    MAX_QUERIES,
)


def _askable(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"query of {len(text):,} characters; the limit is {MAX_CHARACTERS:,}")
    if reason := bad_query_reason(text):
        raise ValueError(reason)
    return text


def _whole(value: object) -> object:
    """`5.0` as 5: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The bounds are only told here: the check's own words are clearer than those of a pattern.
_BOUNDS = {"minLength": 1, "maxLength": MAX_CHARACTERS, "pattern": r"[^\s\x1c-\x1f\x85]"}
Query = Annotated[str, Field(json_schema_extra=_BOUNDS), AfterValidator(_askable)]
PageId = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS)]


class _Asked(BaseModel):
    """A body: no field that is not known, no number in the place of a text."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SearchRequest(_Asked):
    """What to search for."""

    query: Query
    k: Annotated[
        int, Field(ge=1, le=MAX_K, description="pages to find"), BeforeValidator(_whole)
    ] = 10


class EmbedRequest(_Asked):
    """Queries to embed."""

    queries: Annotated[list[Query], Field(min_length=1, max_length=MAX_QUERIES)]


class HitAnswer(BaseModel):
    """A page that was found."""

    rank: Annotated[int, Field(ge=1)]
    score: Annotated[float, Field(description="MaxSim: the mean over the query's tokens")]
    page_id: str
    doc_id: str | None


class SearchAnswer(BaseModel):
    """The best pages, best first."""

    round: Annotated[int, Field(ge=0, description="whose heads")]
    dataset: Annotated[str, Field(description="that was searched")]
    hits: list[HitAnswer]


class EmbedAnswer(BaseModel):
    """The embeddings of each query: a list of L2-normalised vectors, one a token."""

    embeddings: list[list[list[float]]]


class HealthAnswer(BaseModel):
    """The server can answer."""

    status: str


class ErrorAnswer(BaseModel):
    """Why there is no other answer."""

    error: str
