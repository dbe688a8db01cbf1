"""What leaves the server: JSON that no value can break, and problems in a sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from shopsight.search.errors import FilterError, PhotoError, UnknownProductError
from shopsight.search.results import Facet, Product, Results

__all__ = [
    "Click",
    "Facets",
    "Health",
    "Info",
    "Json",
    "Problem",
    "Product",
    "Results",
    "problem_of",
]


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str = Field(description="one sentence for a person")


class Health(BaseModel):
    """The server stands and its index is open."""

    status: str = Field(description='"ok"')
    products: int = Field(description="products of the index")
    version: str = Field(description="of shopsight")


class Facets(BaseModel):
    """Fields that filters can ask for."""

    facets: list[Facet]


class Info(BaseModel):
    """What the index is made of, and what this server allows."""

    index: dict[str, Any] = Field(description="counts, models and settings of the index")
    limits: dict[str, int] = Field(description="query_chars, k_max, candidates_max, photo_bytes")
    clicks: bool = Field(description="whether POST /clicks is kept")


class Click(BaseModel):
    """A product was opened."""

    query: str = Field(max_length=500, description="what had been searched")
    product: str = Field(max_length=1000, description="the id of what was opened")


class Json(JSONResponse):
    """A JSON answer that no value can break: what JSON cannot hold becomes null or "?"."""

    def render(self, content: Any) -> bytes:
        """The bytes of a value."""
        try:
            text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except ValueError:
            text = json.dumps(_finite(content), ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def problem_of(error: Exception) -> tuple[int, str] | None:
    """Status and sentence of what a person can mend; None for a fault, which stays in the log.

    Only sentences that are known to name no file of this machine are passed on.
    """
    if isinstance(error, UnknownProductError):
        return 404, str(error)
    if isinstance(error, FilterError | PhotoError):
        return 400, str(error)
    return None


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Json:
    """The answer to a request that is refused."""
    return Json({"detail": detail}, status, headers)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
