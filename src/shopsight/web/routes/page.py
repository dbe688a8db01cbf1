"""Routes of the search page and the API's documentation page."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shopsight.web.responses import cached
from shopsight.web.static_files import api_docs_html, static_files


def page_router(openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """Routes outside the API's description, which ``openapi`` returns."""
    router, files = APIRouter(include_in_schema=False), static_files()

    @cache
    def docs_html() -> str:
        return api_docs_html(openapi())

    @router.get("/")
    async def page(request: Request) -> Response:
        return await static(request, "index.html")

    @router.get("/static/{name}")
    async def static(request: Request, name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "not found")
        file = files[name]
        return cached(request, file.body, file.media_type, file.etag, "no-cache")

    @router.get("/docs")
    async def docs() -> Response:
        return Response(docs_html(), media_type="text/html; charset=utf-8")

    return router
