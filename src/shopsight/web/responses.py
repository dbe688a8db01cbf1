"""Responses that several routes share, and the mapping of exceptions to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from shopsight.errors import ShopsightError
from shopsight.search.errors import ChangeError, FilterError, PhotoError, UnknownProductError
from shopsight.web.batching import ClosedError
from shopsight.web.schemas import Problem

_PROBLEMS = {
    400: "Invalid filter or photo.",
    401: "Missing or wrong token.",
    403: "The server has no token, so it takes no changes.",
    404: "Unknown product, or a product without a photo.",
    409: "The engine of this server is changed elsewhere.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The content type is not the expected one.",
    422: "A parameter is unknown, too long or out of range.",
    429: "Too many requests of one client.",
    503: "Overloaded, stopping, or no answer in time.",
}
_FRAMEWORK_DETAILS = {"Not Found": "not found", "Method Not Allowed": "method not allowed"}


class Json(JSONResponse):
    """JSON response for arbitrary values: NaN and infinities become null, lone surrogates "?"."""

    def render(self, content: Any) -> bytes:
        """Encode a value."""
        dumps = partial(json.dumps, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        try:
            text = dumps(content)
        except ValueError:
            text = dumps(json.loads(json.dumps(content), parse_constant=lambda _: None))
        return text.encode("utf-8", "replace")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Json:
    """Error response with a one-sentence ``detail``."""
    return Json({"detail": detail}, status, headers)


def problem_docs(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries of error responses."""
    return {status: {"model": Problem, "description": _PROBLEMS[status]} for status in statuses}


def etag_of(body: bytes) -> str:
    """ETag of a response: a hash of its body."""
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def cached(request: Request, body: bytes, media_type: str, etag: str, control: str) -> Response:
    """Response with an ETag; 304 if the client already has this version."""
    headers = {"etag": etag, "cache-control": control}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def sentence_of(errors: Sequence[Any], skip: int = 1) -> str:
    """The first validation error, without ``skip`` parts of its location.

    >>> sentence_of([{"loc": ("query", "k"), "msg": "Input should be at most 100"}])
    'k: input should be at most 100'
    """
    location = ".".join(str(part) for part in errors[0]["loc"][skip:]) or "request"
    message = str(errors[0]["msg"]).removeprefix("Value error, ")
    return f"{location}: {message[:1].lower()}{message[1:]}"


def add_exception_handlers(app: FastAPI) -> None:
    """Turn exceptions into problem responses; all others become a 500 in the middleware."""

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        detail = str(error.detail)
        return problem(error.status_code, _FRAMEWORK_DETAILS.get(detail, detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem(422, sentence_of(error.errors()))

    @app.exception_handler(ClosedError)
    async def stopping(_: Request, __: ClosedError) -> Response:
        return problem(503, "the server is stopping", {"retry-after": "5"})

    async def user_error(_: Request, error: Exception) -> Response:
        # The messages of these contain no path of this machine. Any other ShopsightError
        # may name index files, so it stays in the log and the client gets a plain 500.
        if isinstance(error, UnknownProductError):
            return problem(404, str(error))
        if isinstance(error, FilterError | PhotoError | ChangeError):
            return problem(400, str(error))
        raise error

    app.add_exception_handler(ShopsightError, user_error)
