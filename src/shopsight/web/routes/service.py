"""Service routes: facets, index info, health, metrics, clicks and sessions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shopsight import __version__
from shopsight.web.requests import read_body
from shopsight.web.responses import Json, problem, problem_docs
from shopsight.web.schemas import Click, Facets, Health, Info
from shopsight.web.security import Token
from shopsight.web.service import SearchService

_MAX_CLICK_BYTES = 16_000
_LIMITS = ("query_chars", "k_max", "candidates_max", "photo_bytes")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_CLICK_BODY = {"application/json": {"schema": Click.model_json_schema()}}


def service_router(service: SearchService) -> APIRouter:
    """Routes about the index and the server."""
    router, searcher = APIRouter(), service.searcher

    @router.get("/facets", response_model=Facets)
    async def facets() -> Response:
        """Filterable fields with their values and product counts."""
        return Json({"facets": [facet.to_dict() for facet in await service.read(searcher.facets)]})

    @router.get("/info", response_model=Info)
    async def info() -> Response:
        """Counts, models and settings of the index, and the server's limits."""
        limits = {name: getattr(service.config, name) for name in _LIMITS}
        index = await service.read(searcher.info)
        return Json({"index": index, "limits": limits, "clicks": service.log is not None})

    @router.get("/health", response_model=Health)
    async def health() -> Response:
        """Liveness check."""
        products = (await service.read(searcher.info))["products"]
        return Json({"status": "ok", "products": products, "version": __version__})

    @router.get(
        "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def metrics() -> Response:
        """Metrics in Prometheus's text format."""
        return Response(await service.read(service.metrics.text), media_type=_TEXT)

    @router.post(
        "/clicks",
        status_code=204,
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": _CLICK_BODY}},
        responses=problem_docs(413),
    )
    async def clicks(request: Request) -> Response:
        """Record that a result was opened, if the server was started with --log."""
        # The body is parsed here, not by FastAPI, which would read one of any size.
        try:
            click = Click.model_validate_json(await read_body(request, _MAX_CLICK_BYTES))
        except ValidationError:
            return problem(422, 'expected {"query": ..., "product": ...}, both short texts')
        if service.log is not None:
            await service.read(service.log.log_click, click.query, click.product)
        return Response(status_code=204)

    @router.post("/session", status_code=204, response_class=Response)
    async def session(request: Request) -> Response:
        """Exchange the bearer token for a cookie, as the page does."""
        if not service.token.allows(request.headers.get("authorization", "")):
            raise HTTPException(401, "wrong token", {"www-authenticate": "Bearer"})
        response = Response(status_code=204)
        # HttpOnly: scripts cannot read the cookie. SameSite=Strict: other sites cannot use it.
        # Not Secure: the server itself speaks plain HTTP, on loopback or behind a TLS proxy.
        response.set_cookie(Token.COOKIE, service.token.cookie, httponly=True, samesite="strict")
        return response

    return router
