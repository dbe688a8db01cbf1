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


def service_router(service: SearchService) -> APIRouter:
    """Routes about the index and the server."""
    router, searcher = APIRouter(), service.searcher

    @router.get(
        "/facets",
        response_model=Facets,
        response_description="Fields with their values and product counts.",
        summary="Filterable fields.",
    )
    async def facets() -> Response:
        return Json({"facets": [facet.to_json() for facet in await service.read(searcher.facets)]})

    @router.get(
        "/info",
        response_model=Info,
        response_description="Counts, models and settings of the index; limits of the server.",
        summary="Description of the index and the server's limits.",
    )
    async def info() -> Response:
        limits = {name: getattr(service.config, name) for name in _LIMITS}
        index = await service.read(searcher.info)
        return Json({"index": index, "limits": limits, "clicks": service.log is not None})

    @router.get(
        "/health",
        response_model=Health,
        response_description="The server is running.",
        summary="Liveness check.",
    )
    async def health() -> Response:
        products = (await service.read(searcher.info))["products"]
        return Json({"status": "ok", "products": products, "version": __version__})

    @router.get(
        "/metrics",
        summary="Metrics in Prometheus's text format.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
    )
    async def metrics() -> Response:
        text = await service.read(service.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.post(
        "/clicks",
        status_code=204,
        response_description="Accepted.",
        response_class=Response,
        summary="Record that a result was opened.",
        description="Logged if the server was started with --log; training can learn from it.",
        openapi_extra={"requestBody": {"required": True, "content": {
            "application/json": {"schema": Click.model_json_schema()}}}},
        responses=problem_docs({413: "The body is too large."}),
    )  # fmt: skip
    async def clicks(request: Request) -> Response:
        # The body is parsed here, not by FastAPI, which would read one of any size.
        try:
            click = Click.model_validate_json(await read_body(request, _MAX_CLICK_BYTES))
        except ValidationError:
            return problem(422, 'expected {"query": ..., "product": ...}, both short texts')
        if service.log is not None:
            await service.read(service.log.log_click, click.query, click.product)
        return Response(status_code=204)

    @router.post(
        "/session",
        status_code=204,
        response_description="The cookie is set.",
        summary="Exchange the bearer token for a cookie, as the page does.",
        response_class=Response,
    )
    async def session(request: Request) -> Response:
        if not service.token.allows(request.headers.get("authorization", "")):
            raise HTTPException(401, "wrong token", {"www-authenticate": "Bearer"})
        response = Response(status_code=204)
        # HttpOnly: scripts cannot read the cookie. SameSite=Strict: other sites cannot use it.
        # Not Secure: the server itself speaks plain HTTP, on loopback or behind a TLS proxy.
        response.set_cookie(Token.COOKIE, service.token.cookie, httponly=True, samesite="strict")
        return response

    return router
