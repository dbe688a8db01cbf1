"""Schemas of the HTTP API's answers and requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shopsight.search.options import MAX_DEPTH
from shopsight.search.results import Facet, Product, Results

__all__ = [
    "Answer",
    "Answers",
    "Batch",
    "Change",
    "Event",
    "Facets",
    "Health",
    "Info",
    "Problem",
    "Product",
    "Stats",
]  # fmt: skip


@dataclass(frozen=True)
class Answer(Results):
    """The result of a search, and its id, which events refer to."""

    search_id: str = ""


class Answers(BaseModel):
    """The results of several searches, in the order of the queries."""

    results: list[Answer]


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
    events: bool = Field(description="whether searches and events are logged")


class Stats(BaseModel):
    """Counts of the index and of this server process."""

    index: dict[str, Any] = Field(description="counts, models and settings of the index")
    uptime: float = Field(description="seconds since the start")
    requests: int = Field(description="completed requests")
    searches: int = Field(description="answered text queries")
    waiting: int = Field(description="queued text queries")


class _Body(BaseModel):
    """A request body; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid")


class Batch(_Body):
    """Several text queries with the same options."""

    queries: list[str] = Field(min_length=1, max_length=100, description="query texts",
                               examples=[["red dress", "blue hat"]])  # fmt: skip
    k: int = Field(10, ge=1, description="number of hits per query")
    offset: int = Field(0, ge=0, le=MAX_DEPTH, description="number of hits to skip")
    sort: str = Field("", max_length=200, description="field to order by; -field: descending")
    filters: list[str] = Field([], max_length=20, description="filters written field=value")
    candidates: int | None = Field(None, ge=1, description="retrieved products to re-rank")
    rerank: bool = Field(True, description="re-rank; false is faster, less accurate")
    explain: bool = Field(False, description="add word and region weights to every hit")
    correct: bool = Field(True, description="replace misspelt words")
    facets: bool = Field(True, description="count the matches by field value")


class Change(_Body):
    """New values of a product's fields."""

    fields: dict[str, str | int | float | bool | list[str] | None] = Field(
        min_length=1, max_length=1000, description="values by field; null empties a field",
        examples=[{"price": 19.95, "in_stock": False}],
    )  # fmt: skip


class Event(_Body):
    """The results of a settled search were seen, or a product of them was acted on."""

    kind: Literal["impression", "click", "basket", "purchase"] = Field(description="what happened")
    query: str = Field(max_length=500, description="the query")
    search_id: str = Field("", max_length=64, description="search_id of the answer")
    products: list[str] = Field([], max_length=1000, description="impression: ids shown, in order")
    product: str = Field("", max_length=1000, description="other kinds: id of the product")
    position: int | None = Field(None, ge=0, le=MAX_DEPTH, description="its position, from 0")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not (self.products if self.kind == "impression" else self.product):
            needed = "products" if self.kind == "impression" else "product"
            raise ValueError(f"an event of kind {self.kind} needs {needed}")
        return self
