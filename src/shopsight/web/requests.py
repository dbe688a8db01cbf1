"""Reading and checking request data: bodies, filters and product ids."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request
from starlette.exceptions import HTTPException

from shopsight.search.errors import FilterError
from shopsight.search.filters import parse_filter

MAX_FILTERS = 20
_MAX_FILTER_CHARS = 300
_MAX_ID_CHARS = 1_000


def checked_id(product_id: str) -> str:
    """The id; one that is too long is answered with 404 without a look-up."""
    if len(product_id) > _MAX_ID_CHARS:
        raise HTTPException(404, f"a product id has at most {_MAX_ID_CHARS:,} characters")
    return product_id


def filter_pairs(filters: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Filters as (field, value) pairs, sorted so that equal sets of filters share a batch.

    >>> filter_pairs(["price>=10", "colour=red"])
    (('colour', 'red'), ('price', '>=10'))
    """
    pairs: dict[str, str] = {}
    for text in filters:
        if len(text) > _MAX_FILTER_CHARS:
            raise FilterError(f"a filter has at most {_MAX_FILTER_CHARS} characters")
        field, value = parse_filter(text)
        if field in pairs:
            raise FilterError(f"two filters for {field[:40]!a}; a field takes a single filter")
        pairs[field] = value
    return tuple(sorted(pairs.items()))


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
