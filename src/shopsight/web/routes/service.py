"""Service routes: facets, index info, health, metrics, clicks and sessions."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shopsight import __version__
from shopsight.web.batching import ClosedError
from shopsight.web.requests import read_json
from shopsight.web.responses import Json, problem_docs
from shopsight.web.schemas import Event, Facets, Health, Info, Stats
from shopsight.web.security import Token
from shopsight.web.service import SearchService

_LIMITS = ("query_chars", "k_max", "candidates_max", "photo_bytes")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_EVENT_BODY = {"application/json": {"schema": Event.model_json_schema()}}


def service_router(service: SearchService) -> APIRouter:
    """Routes about the index and the server."""
    router, searcher = APIRouter(tags=["service"]), service.searcher

    @router.get("/facets", response_model=Facets)
    async def facets() -> Response:
        """Filterable fields with their values and product counts."""
        return Json({"facets": [facet.to_dict() for facet in await service.read(searcher.facets)]})

    @router.get("/info", response_model=Info)
    async def info() -> Response:
        """Counts, models and settings of the index, and the server's limits."""
        limits = {name: getattr(service.config, name) for name in _LIMITS}
        index = await service.read(searcher.info)
        return Json({"index": index, "limits": limits, "events": service.log is not None})

    @router.get("/stats", response_model=Stats)
    async def stats() -> Response:
        """Counts of the index and of this server process."""
        return Json(await service.read(service.stats))

    @router.get("/health", response_model=Health)
    async def health() -> Response:
        """Liveness: the process answers."""
        products = (await service.read(searcher.info))["products"]
        return Json({"status": "ok", "products": products, "version": __version__})

    @router.get("/ready", response_model=Health)
    async def ready() -> Response:
        """Readiness: the index is open and searches are answered; 503 while stopping."""
        if not service.ready:
            raise ClosedError
        return await health()

    @router.get(
        "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def metrics() -> Response:
        """Metrics in Prometheus's text format."""
        return Response(await service.read(service.metrics.text), media_type=_TEXT)

    @router.post("/events", status_code=204, response_class=Response,
                 openapi_extra={"requestBody": {"required": True, "content": _EVENT_BODY}},
                 responses=problem_docs(408, 413, 415))  # fmt: skip
    async def events(request: Request) -> Response:
        """Record that results were seen or acted on, if the server was started with --log."""
        event = await read_json(request, Event)
        if service.log is not None:
            shown = {name for name in ("products", "product", "position") if getattr(event, name)}
            values = event.model_dump(include=shown)
            if event.position is not None:
                values["position"] = event.position
            await service.read(partial(service.log.event, **values), event.kind, event.query,
                               event.search_id)  # fmt: skip
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
