"""Search page, its static files, and the documentation page of the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shopsight.web.responses import cached, etag_of

_MEDIA_TYPES = {
    "html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml",
}  # fmt: skip


class _File(NamedTuple):
    body: bytes
    media_type: str
    etag: str


def page_router(openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """Routes of the page; ``openapi`` returns the description of the API, which excludes them."""
    router, files = APIRouter(include_in_schema=False), _load_files()

    @router.get("/")
    async def page(request: Request) -> Response:
        return await static(request, "index.html")

    @router.get("/static/{name}")
    async def static(request: Request, name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "not found")
        file = files[name]
        return cached(request, file.body, file.media_type, file.etag, "no-cache")

    @cache
    def docs_html() -> str:
        return _render_docs(openapi())

    @router.get("/docs")
    async def docs() -> Response:
        return Response(docs_html(), media_type="text/html; charset=utf-8")

    return router


def _load_files() -> dict[str, _File]:
    # Loaded once and looked up by name, so that no path in a request can reach any other file.
    files = {}
    for path in (resources.files("shopsight.web") / "static").iterdir():
        media_type = _MEDIA_TYPES.get(path.name.rpartition(".")[2])
        if media_type:
            body = path.read_bytes()
            files[path.name] = _File(body, f"{media_type}; charset=utf-8", etag_of(body))
    return files


def _render_docs(description: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("shopsight.web"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["type_text"] = _type_text
    template = environment.get_template("docs.html")
    return template.render(info=description["info"], paths=description["paths"])


def _type_text(parameter: dict[str, Any]) -> str:
    """Type, range and default of an OpenAPI parameter.

    >>> _type_text({"name": "k", "in": "query", "required": True, "schema": {
    ...     "type": "integer", "minimum": 1, "maximum": 9, "default": 3}})
    'integer, 1 to 9, default 3, required'
    """
    schema = parameter["schema"]
    # An optional parameter is described as "any of its type and null".
    kind = next(o for o in schema.get("anyOf", [schema]) if o.get("type") != "null")
    words = ["list of strings" if kind.get("type") == "array" else kind.get("type", "")]
    if "minimum" in kind and "maximum" in kind:
        words.append(f"{kind['minimum']} to {kind['maximum']}")
    if "maxLength" in kind:
        words.append(f"at most {kind['maxLength']} characters")
    if schema.get("default") not in (None, [], False):
        words.append(f"default {json.dumps(schema['default'])}")
    if parameter["required"] and parameter["in"] == "query":
        words.append("required")
    return ", ".join(words)
