"""The HTTP API and the page of one `Searcher`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shopsight import __version__
from shopsight.config import ServeConfig
from shopsight.errors import ShopsightError
from shopsight.search.errors import FilterError
from shopsight.search.filters import parse_filter
from shopsight.search.searcher import Searcher
from shopsight.web.batching import Batcher, ClosedError, Options
from shopsight.web.metrics import Metrics
from shopsight.web.middleware import Gate
from shopsight.web.querylog import QueryLog
from shopsight.web.schemas import (
    Click,
    Facets,
    Health,
    Info,
    Json,
    Problem,
    Product,
    Results,
    problem,
    problem_of,
)
from shopsight.web.security import Token
from shopsight.web.static_files import docs_page, static_files

__all__ = ["create_app"]

T = TypeVar("T")
_FILTERS = 20
_FILTER_CHARS = 300
_ID_CHARS = 1_000
_CLICK_BYTES = 16_000
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "A filter or a photo that cannot be used."},
    401: {"model": Problem, "description": "The token is missing or wrong."},
    422: {"model": Problem, "description": "A parameter is missing, too long or out of range."},
    429: {"model": Problem, "description": "Too many requests of one client."},
    503: {"model": Problem, "description": "Busy, stopping, or no answer in time."},
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "There is no such product."}
}
_JPEG = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
_ANY_PHOTO = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_DESCRIPTION = (
    "Search a catalogue of product photos with words, with a product, or with a photo. "
    "Filters are written field=value: colour=red, price=10..20, price=>=10, in_stock=true."
)


def create_app(
    searcher: Searcher,
    config: ServeConfig,
    token: str | None = None,
    log: QueryLog | None = None,
) -> FastAPI:
    """The application that serves an opened index.

    The searcher is the caller's: it is opened before and closed after, and its models are
    loaded once however many clients there are.

    Args:
        searcher: what finds products.
        config: addresses and limits.
        token: what clients must send as a bearer token; None lets everyone in.
        log: where queries and clicks are written; None keeps nothing of them.

    Returns:
        an ASGI application; `Gate` stands before all of its routes.
    """
    service = _Service(searcher, config, Token(token), log)
    app = FastAPI(
        title="shopsight",
        summary=_DESCRIPTION,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        default_response_class=Json,
        responses=_PROBLEMS,
        lifespan=service.lifespan,
        openapi_tags=[],
    )
    _add_searches(app, service)
    _add_products(app, service)
    _add_service(app, service)
    _add_page(app)
    _add_problems(app)
    app.add_middleware(Gate, config=config, token=service.token, metrics=service.metrics)
    return app


class _Service:
    """The searcher with its threads: one for words, a few for photos and for what only reads."""

    def __init__(
        self, searcher: Searcher, config: ServeConfig, token: Token, log: QueryLog | None
    ) -> None:
        self.searcher, self.config, self.token, self.log = searcher, config, token, log
        self.metrics = Metrics(self._products, lambda: self._batcher.waiting)
        self._batcher = Batcher(
            searcher.search_many, config.batch_size, config.batch_wait, self.metrics.batches.observe
        )
        self._vectors = ThreadPoolExecutor(2, "vectors")
        self._records = ThreadPoolExecutor(4, "records")

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Stop in order: queued queries are answered, threads end."""
        yield
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._batcher.close()
        for pool in (self._vectors, self._records):
            pool.shutdown(cancel_futures=True)

    async def search(self, query: str, options: Options) -> Json:
        """An answer from the next batch."""
        found = await asyncio.wrap_future(self._batcher.submit(query, options))
        if self.log is not None:
            self.log.searched(query, [hit.product_id for hit in found.hits])
        return self._found(found)

    async def like(self, find: Callable[..., Results], what: Any, options: Options) -> Json:
        """An answer of `Searcher.similar` or `search_photo`."""
        find = partial(find, filters=dict(options.filters) or None)
        return self._found(await self._run(self._vectors, find, what, options.k))

    async def read(self, work: Callable[..., T], *arguments: Any) -> T:
        """What the searcher reads, without holding up other requests."""
        return await self._run(self._records, work, *arguments)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        try:
            future = pool.submit(work, *arguments)
        except RuntimeError:
            raise ClosedError from None
        return await asyncio.wrap_future(future)

    def _found(self, results: Results) -> Json:
        for stage, seconds in results.seconds.items():
            self.metrics.stages.labels(stage).observe(seconds)
        return Json(results.to_json())

    def _products(self) -> float:
        return float(self.searcher.info()["products"])


def _add_searches(app: FastAPI, service: _Service) -> None:
    config = service.config
    many = Query(10, ge=1, le=config.k_max, description="Most hits.")
    only = Query(
        [],
        alias="filter",
        max_length=_FILTERS,
        description="field=value, as often as there are fields to ask for.",
        examples=["price=10..20"],
    )

    @app.get(
        "/search",
        response_model=Results,
        response_description="What was found.",
        summary="Products for a query, best first.",
    )
    async def search(
        q: str = Query(max_length=config.query_chars, description="The query, any text.",
                       examples=["red summer dress"]),
        k: int = many,
        filters: list[str] = only,
        depth: int | None = Query(None, ge=1, le=config.candidates_max,
                                  description="Candidates ranked again; the index knows a good "
                                  "number."),
        recall_only: bool = Query(False, description="Leave out the ranking: quicker, coarser."),
        explain: bool = Query(False, description="Say which words and regions decided."),
    ) -> Response:  # fmt: skip
        return await service.search(q, Options(k, _pairs(filters), depth, recall_only, explain))

    @app.post(
        "/search/photo",
        response_model=Results,
        response_description="What was found; scores are cosines.",
        summary="Products like a photo.",
        description="The request's body is the photo itself, a JPEG or PNG file.",
        openapi_extra={"requestBody": {"required": True, "content": _ANY_PHOTO}},
        responses={
            408: {"model": Problem, "description": "The photo did not arrive in time."},
            413: {"model": Problem, "description": "The photo is too large."},
            415: {"model": Problem, "description": "The body is not said to be a photo."},
        },
    )
    async def search_photo(request: Request, k: int = many, filters: list[str] = only) -> Response:
        options = Options(k, _pairs(filters))
        photo = await _photo_of(request, config.photo_bytes)
        return await service.like(service.searcher.search_photo, photo, options)

    @app.get(
        "/products/{product_id:path}/similar",
        response_model=Results,
        response_description="What was found; scores are cosines.",
        summary="Products like one of the index.",
        responses=_UNKNOWN,
    )
    async def similar(product_id: str, k: int = many, filters: list[str] = only) -> Response:
        options = Options(k, _pairs(filters))
        return await service.like(service.searcher.similar, _id(product_id), options)


def _add_products(app: FastAPI, service: _Service) -> None:
    @app.get(
        "/products/{product_id:path}/photo",
        summary="A product's photo.",
        response_class=Response,
        responses={
            200: {"content": _JPEG, "description": "A JPEG file."},
            304: {"description": "The photo is the one you have."},
            404: {"model": Problem, "description": "No such product, or one without a photo."},
        },
    )
    async def photo(request: Request, product_id: str) -> Response:
        body = await service.read(service.searcher.photo, _id(product_id))
        if body is None:
            raise HTTPException(404, "this product has no photo")
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        return _cached(request, body, "image/jpeg", etag, "private, max-age=600")

    @app.get(
        "/products/{product_id:path}",
        response_model=Product,
        response_description="The product.",
        summary="A product: its fields and its photo's regions.",
        responses=_UNKNOWN,
    )
    async def product(product_id: str) -> Response:
        return Json((await service.read(service.searcher.product, _id(product_id))).to_json())


def _add_service(app: FastAPI, service: _Service) -> None:
    searcher, config = service.searcher, service.config

    @app.get(
        "/facets",
        response_model=Facets,
        response_description="Each field, its values and how many products have them.",
        summary="Fields that filters can ask for.",
    )
    async def facets() -> Response:
        return Json({"facets": [one.to_json() for one in await service.read(searcher.facets)]})

    @app.get(
        "/info",
        response_model=Info,
        response_description="Counts, models and settings, and the largest values allowed.",
        summary="What the index is made of, and what this server allows.",
    )
    async def info() -> Response:
        names = ("query_chars", "k_max", "candidates_max", "photo_bytes")
        limits = {name: getattr(config, name) for name in names}
        index = await service.read(searcher.info)
        return Json({"index": index, "limits": limits, "clicks": service.log is not None})

    @app.get(
        "/health",
        response_model=Health,
        response_description="It stands.",
        summary="Whether the server stands.",
    )
    async def health() -> Response:
        products = (await service.read(searcher.info))["products"]
        return Json({"status": "ok", "products": products, "version": __version__})

    @app.get(
        "/metrics",
        summary="Counters in Prometheus's format.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
    )
    async def metrics() -> Response:
        text = await service.read(service.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post(
        "/clicks",
        status_code=204,
        response_description="Noted.",
        response_class=Response,
        summary="A product that a query found was opened.",
        description="Kept if the server was started with --log; training can learn from it.",
        openapi_extra={"requestBody": {"required": True, "content": {
            "application/json": {"schema": Click.model_json_schema()}}}},
        responses={413: {"model": Problem, "description": "The body is too large."}},
    )  # fmt: skip
    async def clicks(request: Request) -> Response:
        try:
            click = Click.model_validate_json(await _body_of(request, _CLICK_BYTES))
        except ValidationError:
            return problem(422, 'send {"query": ..., "product": ...}, both short texts')
        if service.log is not None:
            await service.read(service.log.clicked, click.query, click.product)
        return Response(status_code=204)

    @app.post(
        "/session",
        status_code=204,
        response_description="The cookie is set.",
        summary="Exchange the bearer token for a cookie, as the page does.",
        response_class=Response,
    )
    async def session(request: Request) -> Response:
        if not service.token.allows(request.headers.get("authorization", "")):
            raise HTTPException(401, "wrong token", {"www-authenticate": "Bearer"})
        answer = Response(status_code=204)
        answer.set_cookie(Token.COOKIE, service.token.cookie, httponly=True, samesite="strict")
        return answer


def _add_page(app: FastAPI) -> None:
    files = static_files()
    described: list[str] = []

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return static(request, "index.html")

    @app.get("/static/{name}", include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        return static(request, name)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        if not described:
            described.append(docs_page(app.openapi()))
        return Response(described[0], media_type="text/html; charset=utf-8")

    def static(request: Request, name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "there is nothing here")
        one = files[name]
        return _cached(request, one.body, one.media_type, one.etag, "no-cache")


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        plain = {404: "there is nothing here", 405: "this address has no such method"}
        detail = str(error.detail)
        if detail in ("Not Found", "Method Not Allowed"):
            detail = plain[error.status_code]
        return problem(error.status_code, detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem(422, _first(error.errors()))

    @app.exception_handler(ClosedError)
    async def stopping(_: Request, __: ClosedError) -> Response:
        return problem(503, "the server is stopping", {"retry-after": "5"})

    async def mended(_: Request, error: Exception) -> Response:
        known = problem_of(error)
        if known is None:
            raise error
        return problem(*known)

    app.add_exception_handler(ShopsightError, mended)


def _first(errors: Sequence[Any]) -> str:
    """The first thing that is wrong with the parameters, as a sentence.

    >>> _first([{"loc": ("query", "k"), "msg": "Input should be less than or equal to 100"}])
    'k: input should be less than or equal to 100'
    """
    where = ".".join(str(part) for part in errors[0]["loc"][1:]) or "request"
    message = str(errors[0]["msg"])
    return f"{where}: {message[:1].lower()}{message[1:]}"


def _id(product_id: str) -> str:
    """A product's id from the address; one that none can have is refused before it is looked up."""
    if len(product_id) > _ID_CHARS:
        raise HTTPException(404, "no product has an id that long")
    return product_id


def _pairs(filters: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Filters as (field, value) pairs in the order of the fields.

    >>> _pairs(["price>=10", "colour=red"])
    (('colour', 'red'), ('price', '>=10'))
    """
    found: dict[str, str] = {}
    for one in filters:
        if len(one) > _FILTER_CHARS:
            raise FilterError(f"a filter has at most {_FILTER_CHARS} characters")
        field, value = parse_filter(one)
        if field in found:
            raise FilterError(f"two filters for {field[:40]!a}; one field takes one filter")
        found[field] = value
    return tuple(sorted(found.items()))


async def _photo_of(request: Request, most: int) -> bytes:
    """The body of a request, which must say that it is a photo."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith("image/"):
        raise HTTPException(415, "send the photo itself as the body, with its type: image/jpeg")
    return await _body_of(request, most)


async def _body_of(request: Request, most: int) -> bytes:
    """The body of a request, which may have ``most`` bytes."""
    too_large = HTTPException(413, f"the body is larger than {most:,} bytes")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length[:20]) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


def _cached(request: Request, body: bytes, kind: str, etag: str, control: str) -> Response:
    """An answer that a browser may keep."""
    headers = {"etag": etag, "cache-control": control}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)
