"""ASGI application: HTTP API and search page of a `Searcher`."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from shopsight import __version__
from shopsight.config import ServeConfig
from shopsight.search.searcher import Searcher
from shopsight.web.jsonlog import JsonLog, QueryLog
from shopsight.web.middleware import GuardMiddleware
from shopsight.web.requests import known_parameters
from shopsight.web.responses import Json, add_exception_handlers, problem_docs
from shopsight.web.routes.products import products_router
from shopsight.web.routes.search import search_router
from shopsight.web.routes.service import service_router
from shopsight.web.security import Token
from shopsight.web.service import SearchService
from shopsight.web.static_files import page_router

__all__ = ["create_app"]

_SUMMARY = (
    "Search a catalogue of product photos with words, with a product, or with a photo. "
    "Filters are written field=value: colour=red, price=10..20, price>=10, in_stock=true."
)


def create_app(
    searcher: Searcher,
    config: ServeConfig,
    token: str | None = None,
    log: QueryLog | None = None,
    access_log: JsonLog | None = None,
) -> FastAPI:
    """Build the ASGI application that serves an opened index, which the caller closes afterwards.

    Without a ``token`` every client is served; without a ``log`` nothing is logged.
    """
    service = SearchService(searcher, config, Token(token), log)
    app = FastAPI(
        title="shopsight",
        summary=_SUMMARY,
        version=__version__,
        # FastAPI's own pages load scripts from a CDN, which the content security policy forbids.
        docs_url=None,
        redoc_url=None,
        default_response_class=Json,
        generate_unique_id_function=lambda route: route.name,
        responses=problem_docs(400, 401, 422, 429, 503),
        lifespan=service.lifespan,
    )
    app.state.service = service
    for router in (search_router, products_router, service_router):
        app.include_router(router(service), dependencies=[Depends(known_parameters)])
    app.include_router(page_router(app.openapi))
    add_exception_handlers(app)
    app.add_middleware(
        GuardMiddleware, config=config, token=service.token, metrics=service.metrics,
        access_log=access_log,
    )  # fmt: skip
    if config.cors:
        # Outermost: a preflight carries no token, and errors need the headers as well.
        app.add_middleware(
            CORSMiddleware, allow_origins=config.cors, allow_methods=["*"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["retry-after", "server-timing", "x-request-id"],
        )  # fmt: skip
    return app
