"""The API: a FastAPI application over somebody who answers questions about an open run."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import colintern
from colintern import log
from colintern.errors import BusyError, ColInternError, UnknownPageError, one_line
from colintern.images.decode import BadImageError
from colintern.retrieval.answers import Similarities
from colintern.retrieval.serving import pictures, schemas
from colintern.retrieval.serving.gate import Gate
from colintern.retrieval.serving.limits import MAX_PIXELS_WIDE
from colintern.retrieval.serving.page import content_security_policy, page_html
from colintern.retrieval.serving.questions import Ask, Compare, Embed, PageImage, Search

_PAINTERS = 2  # pictures at a time: each may take 2.5 GB at the worst
_RETRY_SECONDS = 1
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.ErrorAnswer, "description": words}
    for status, words in {
        400: "the body cannot be read",
        401: "the token is missing or wrong",
        413: "the body is too large",
        421: "asked by another name than that of this machine",
        422: "what is asked cannot be asked",
        500: "the server could not answer; its log says why",
        503: "too much is asked at the moment: ask again after `Retry-After` seconds",
    }.items()
}
_NO_PAGE: dict[int | str, dict[str, Any]] = {
    404: {"model": schemas.ErrorAnswer, "description": "no such page"}
}

PageIdParameter = Annotated[schemas.PageId, Query(description="of the page")]


def make_app(
    ask: Ask, is_ready: Callable[[], Awaitable[bool]], token: str | None
) -> Callable[..., Awaitable[None]]:
    """The whole ASGI application: the API, its errors, and the gate before it.

    Args:
        ask: answers questions about the open run.
        is_ready: whether somebody can answer now.
        token: what clients have to show; None on loopback.
    """
    app = FastAPI(
        title="ColIntern",
        version=colintern.__version__,
        description="Finds pages for questions. Errors are `{error}`.",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        responses=_ERRORS,
    )
    _add_questions(app, ask)
    _add_pictures(app, ask)
    _add_page(app, is_ready)
    _add_errors(app)
    return Gate(app, token, content_security_policy())


def _add_questions(app: FastAPI, ask: Ask) -> None:
    @app.post("/search", summary="The best pages for a query")
    async def search(asked: schemas.SearchRequest) -> schemas.SearchAnswer:
        found = await ask(Search(asked.query, asked.k))
        return schemas.SearchAnswer.model_validate(found, from_attributes=True)

    @app.post("/embed", summary="The embeddings of queries")
    async def embed(asked: schemas.EmbedRequest) -> schemas.EmbedAnswer:
        found = await asyncio.gather(*(ask(Embed(query)) for query in asked.queries))
        return schemas.EmbedAnswer(embeddings=[token_QE.tolist() for token_QE in found])


def _add_pictures(app: FastAPI, ask: Ask) -> None:
    painters = asyncio.Semaphore(_PAINTERS)

    async def paint(work: Callable[..., Any], *values: Any) -> Any:
        async with painters:
            return await asyncio.to_thread(work, *values)

    picture = {200: {"content": {"image/*": {}}, "description": "the picture"}}

    @app.get("/page", response_class=Response, responses=picture | _NO_PAGE, summary="A page")
    async def page(
        id: PageIdParameter,
        width: Annotated[
            int | None,
            Query(ge=16, le=MAX_PIXELS_WIDE, description="at most so many pixels; else as stored"),
        ] = None,
    ) -> Response:
        data = await ask(PageImage(id))
        return _picture(*await paint(pictures.shown_page, data, width))

    @app.get(
        "/heatmap",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}, "description": "a PNG"}} | _NO_PAGE,
        summary="A page with the parts that fit a query",
    )
    async def heatmap(
        id: PageIdParameter,
        query: Annotated[schemas.Query, Query()],
        word: Annotated[
            int | None,
            Query(ge=1, description="only for this word of the query, counted from 1"),
        ] = None,
    ) -> Response:
        compared = await ask(Compare(query, id))
        tokens = _query_tokens(compared, word)
        data = await ask(PageImage(id))
        return _picture(await paint(pictures.heat_map, data, compared, tokens), "image/png")


def _add_page(app: FastAPI, is_ready: Callable[[], Awaitable[bool]]) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(page_html(), media_type="text/html; charset=utf-8")

    @app.get("/healthz", summary="Whether the server can answer")
    async def healthz() -> schemas.HealthAnswer:
        if not await is_ready():
            raise BusyError("no replica is ready")
        return schemas.HealthAnswer(status="ok")


def _query_tokens(compared: Similarities, word: int | None) -> list[int] | None:
    """The tokens of a word, or of the whole text; None for all.

    Raises:
        HTTPException: the query has no such word.
    """
    if compared.words is None and word is None:
        return None
    if compared.words is None:
        raise HTTPException(422, "word: the words of this query cannot be told apart; leave it out")
    if word is None:
        return sorted({token for own in compared.words for token in own})
    if word > len(compared.words):
        raise HTTPException(422, f"word: the query has {len(compared.words)} words")
    return list(compared.words[word - 1])


def _picture(data: bytes, media_type: str) -> Response:
    # A page stays what it is as long as the server runs; `private`: no proxy keeps it.
    return Response(data, media_type=media_type, headers={"Cache-Control": "private, max-age=300"})


def _add_errors(app: FastAPI) -> None:
    """Every error as `{error}`, and none with a path or a trace of the server in it."""

    @app.exception_handler(RequestValidationError)
    async def _(_: Request, error: RequestValidationError) -> JSONResponse:
        return _error(422, "; ".join(map(_told, error.errors())))

    @app.exception_handler(HTTPException)
    async def _(_: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, error.detail, error.headers)

    @app.exception_handler(UnknownPageError)
    async def _(_: Request, error: UnknownPageError) -> JSONResponse:
        return _error(404, "id: the dataset has no such page")

    @app.exception_handler(BusyError)
    async def _(_: Request, error: BusyError) -> JSONResponse:
        return _error(503, one_line(error), {"Retry-After": str(_RETRY_SECONDS)})

    @app.exception_handler(ColInternError)
    @app.exception_handler(BadImageError)
    async def _(request: Request, error: Exception) -> JSONResponse:
        log.say("serve", "%s: %s", request.url.path, one_line(error))
        return _error(500, "the server could not answer; its log says why")

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> JSONResponse:
        log.say("serve", "%s: %s: %s", request.url.path, type(error).__name__, one_line(error))
        return _error(500, "the server could not answer; its log says why")


def _told(problem: Any) -> str:
    """One problem of a request: where, and what. Not what was sent, which may be anything."""
    where = ".".join(str(part) for part in problem["loc"][1:]) or "body"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _error(status: int, words: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": words}, status, headers=headers)
