"""Schemas of the HTTP API's answers and requests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from shopsight.search.results import Facet, Product, Results

__all__ = ["Click", "Facets", "Health", "Info", "Problem", "Product", "Results"]


class Problem(BaseModel):
    """Error response."""

    detail: str = Field(description="one sentence for a person")


class Health(BaseModel):
    """Liveness of the server; its index is open."""

    status: str = Field(description='"ok"')
    products: int = Field(description="products of the index")
    version: str = Field(description="version of shopsight")


class Facets(BaseModel):
    """Filterable fields."""

    facets: list[Facet]


class Info(BaseModel):
    """Description of the index and the server's limits."""

    index: dict[str, Any] = Field(description="counts, models and settings of the index")
    limits: dict[str, int] = Field(description="query_chars, k_max, candidates_max, photo_bytes")
    clicks: bool = Field(description="whether POST /clicks is logged")


class Click(BaseModel):
    """A result that was opened."""

    query: str = Field(max_length=500, description="the query")
    product: str = Field(max_length=1000, description="id of the opened product")
