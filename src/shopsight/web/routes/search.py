"""Search routes: by text, by photo, by product."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shopsight.search.options import MAX_DEPTH, SearchOptions
from shopsight.web.requests import (
    MAX_FILTERS,
    checked_id,
    read_json,
    read_photo,
    search_options,
)
from shopsight.web.responses import problem_docs
from shopsight.web.schemas import Answer, Answers, Batch
from shopsight.web.service import SearchService

_PHOTO = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
_BATCH = {"application/json": {"schema": Batch.model_json_schema()}}


def search_router(service: SearchService) -> APIRouter:
    """Routes that answer with `Answer`."""
    router, config, searcher = APIRouter(tags=["search"]), service.config, service.searcher

    hits = Query(10, ge=1, le=config.k_max, description="Number of hits.")
    skipped = Query(0, ge=0, le=MAX_DEPTH, description="Number of hits to skip.")
    filter_list = Query(
        [], alias="filter", max_length=MAX_FILTERS, examples=["price=10..20"],
        description="Filter written field=value; repeatable. Values of the same field are"
        " alternatives, -field=value excludes.",
    )  # fmt: skip
    counted = Query(True, description="Count the matches by field value.")

    def requested_page(
        k: int = hits,
        offset: int = skipped,
        filters: list[str] = filter_list,
        facets: bool = counted,
    ) -> SearchOptions:
        return search_options(filters, k=k, offset=offset, facets=facets)

    requested = Depends(requested_page)

    def requested_ranking(
        candidates: int | None = Query(
            None, ge=1, le=config.candidates_max,
            description="Retrieved products to re-rank; default: the index's setting."),
        rerank: bool = Query(True, description="Re-rank; false is faster, less accurate."),
        explain: bool = Query(False, description="Add word and region weights to every hit."),
        correct: bool = Query(True, description="Replace misspelt words; see corrected."),
    ) -> dict[str, Any]:  # fmt: skip
        return {
            "candidates": candidates, "rerank": rerank, "explain": explain, "correct": correct
        }  # fmt: skip

    ranking_options = Depends(requested_ranking)

    @router.get("/search", response_model=Answer)
    async def search(
        page: SearchOptions = requested,
        ranking: dict[str, Any] = ranking_options,
        q: str = Query("", max_length=config.query_chars, examples=["red summer dress"],
                       description="Query text; without one, all products."),
        sort: str = Query("", max_length=200, examples=["-price"],
                          description="Field to order by instead of the score; -field:"
                          " descending."),
        log: bool = Query(True, description="Write the search to the query log; false for"
                          " unsettled queries, such as the prefixes of a query being typed."),
    ) -> Response:  # fmt: skip
        """Rank products for a text query, or browse them."""
        return await service.search(q, replace(page, sort=sort, **ranking), log=log)

    @router.post("/search/batch", response_model=Answers, responses=problem_docs(408, 413, 415),
                 openapi_extra={"requestBody": {"required": True, "content": _BATCH}})  # fmt: skip
    async def search_batch(request: Request) -> Response:
        """Search with several queries; none of them is logged."""
        body = await read_json(request, Batch)
        if body.k > config.k_max or (body.candidates or 1) > config.candidates_max:
            limits = f"at most {config.k_max:,} and {config.candidates_max:,}"
            raise HTTPException(422, f"k and candidates must be {limits}")
        if any(len(query) > config.query_chars for query in body.queries):
            raise HTTPException(422, f"a query has at most {config.query_chars:,} characters")
        options = search_options(**body.model_dump(exclude={"queries"}))
        return await service.search_batch(body.queries, options)

    @router.post("/search/photo", response_model=Answer, responses=problem_docs(408, 413, 415),
                 openapi_extra={"requestBody": {"required": True, "content": _PHOTO}})  # fmt: skip
    async def search_photo(request: Request, page: SearchOptions = requested) -> Response:
        """Find products similar to a photo; scores are cosines. The body is a JPEG or PNG file."""
        photo = await read_photo(request, config.photo_bytes)
        return await service.nearest(searcher.search_photo, photo, page)

    @router.get("/products/{product_id:path}/similar", response_model=Answer,
                responses=problem_docs(404))  # fmt: skip
    async def similar(product_id: str, page: SearchOptions = requested) -> Response:
        """Find products similar to a product; scores are cosines."""
        return await service.nearest(searcher.similar, checked_id(product_id), page)

    return router
