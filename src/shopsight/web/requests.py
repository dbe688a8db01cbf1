"""Reading and checking request data: parameters, bodies, filters and product ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from shopsight.errors import UsageError, unknown_name
from shopsight.search.conditions import parse_filters
from shopsight.search.errors import FilterError
from shopsight.search.options import SearchOptions
from shopsight.web.responses import sentence_of

MAX_FILTERS = 20
_MAX_FILTER_CHARS = 300
_MAX_ID_CHARS = 1_000
_MAX_JSON_BYTES = 200_000

Body = TypeVar("Body", bound=BaseModel)


def known_parameters(request: Request) -> None:
    """Dependency of the API's routes: a misspelt parameter would otherwise be ignored."""
    names = _parameters(request.scope["route"].dependant)
    for name in request.query_params:
        if name not in names:
            reason = str(unknown_name("parameter", name[:100], names))
            raise HTTPException(422, reason.replace("(known: )", "(known: none)"))


def _parameters(dependant: Dependant) -> list[str]:
    names = [field.alias for field in dependant.query_params]
    return [*names, *(name for part in dependant.dependencies for name in _parameters(part))]


def checked_id(product_id: str) -> str:
    """The id; one that is too long is answered with 404 without a look-up."""
    if len(product_id) > _MAX_ID_CHARS:
        raise HTTPException(404, f"a product id has at most {_MAX_ID_CHARS:,} characters")
    return product_id


def search_options(filters: Sequence[str] = (), **options: Any) -> SearchOptions:
    """Options of a search, with filters written field=value; 422 for a page too deep."""
    if any(len(text) > _MAX_FILTER_CHARS for text in filters):
        raise FilterError(f"a filter has at most {_MAX_FILTER_CHARS} characters")
    try:
        return SearchOptions(filters=parse_filters(filters), **options)
    except FilterError:
        raise
    except UsageError as error:
        raise HTTPException(422, str(error)) from None


async def read_json(request: Request, model: type[Body]) -> Body:
    """The request's JSON body.

    It is parsed here, since FastAPI would read one of any size, and only with a JSON content type,
    which other sites cannot send without a CORS preflight.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "send JSON with the content type application/json")
    try:
        return model.model_validate_json(await read_body(request, _MAX_JSON_BYTES))
    except ValidationError as error:
        raise HTTPException(422, sentence_of(error.errors(), skip=0)) from None


async def read_photo(request: Request, max_bytes: int) -> bytes:
    """The request's body, whose content type must be an image."""
    # A browser form cannot send image/*, and a cross-origin script that does triggers a CORS
    # preflight, which is never answered: other sites cannot post photos through a visitor.
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type.startswith("image/"):
        raise HTTPException(415, "send the photo itself as the body, with its type: image/jpeg")
    return await read_body(request, max_bytes)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The request's body; 413 as soon as it is known to exceed ``max_bytes``."""
    too_large = HTTPException(413, f"the body is larger than {max_bytes:,} bytes")
    length = request.headers.get("content-length", "")
    # int() raises on more than 4,300 digits and accepts non-ASCII ones; 20 digits decide.
    if length.isascii() and length.isdecimal() and int(length[:20]) > max_bytes:
        raise too_large
    # A chunked body announces no length, so what arrives is counted as well.
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)
