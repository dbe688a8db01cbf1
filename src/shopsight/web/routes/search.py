"""Search routes: by text, by photo, by product."""

from __future__ import annotations

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from shopsight.web.batching import SearchOptions
from shopsight.web.requests import MAX_FILTERS, checked_id, filter_pairs, read_photo
from shopsight.web.responses import problem_docs
from shopsight.web.schemas import Results
from shopsight.web.service import SearchService

_PHOTO = {"image/*": {"schema": {"type": "string", "format": "binary"}}}


def search_router(service: SearchService) -> APIRouter:
    """Routes that answer with `Results`."""
    router, config, searcher = APIRouter(), service.config, service.searcher
    hits = Query(10, ge=1, le=config.k_max, description="Number of hits.")
    filter_list = Query(
        [],
        alias="filter",
        max_length=MAX_FILTERS,
        description="Filter written field=value; may be repeated, once per field.",
        examples=["price=10..20"],
    )

    @router.get("/search", response_model=Results)
    async def search(
        q: str = Query(max_length=config.query_chars, description="Query text.",
                       examples=["red summer dress"]),
        k: int = hits,
        filters: list[str] = filter_list,
        candidates: int | None = Query(
            None, ge=1, le=config.candidates_max,
            description="Retrieved products to re-rank; default: the index's setting."),
        rerank: bool = Query(True, description="Re-rank; false is faster, less accurate."),
        explain: bool = Query(False, description="Add word and region weights to every hit."),
    ) -> Response:  # fmt: skip
        """Rank products for a text query."""
        options = SearchOptions(k, filter_pairs(filters), candidates, rerank, explain)
        return await service.search(q, options)

    @router.post(
        "/search/photo",
        response_model=Results,
        openapi_extra={"requestBody": {"required": True, "content": _PHOTO}},
        responses=problem_docs(408, 413, 415),
    )
    async def search_photo(
        request: Request, k: int = hits, filters: list[str] = filter_list
    ) -> Response:
        """Find products similar to a photo; scores are cosines. The body is a JPEG or PNG file."""
        # Filters are parsed first: an invalid one is reported before ten megabytes are read.
        chosen = dict(filter_pairs(filters)) or None
        photo = await read_photo(request, config.photo_bytes)
        return await service.nearest(searcher.search_photo, photo, k, chosen)

    @router.get(
        "/products/{product_id:path}/similar", response_model=Results, responses=problem_docs(404)
    )
    async def similar(product_id: str, k: int = hits, filters: list[str] = filter_list) -> Response:
        """Find products similar to a product; scores are cosines."""
        chosen = dict(filter_pairs(filters)) or None
        return await service.nearest(searcher.similar, checked_id(product_id), k, chosen)

    return router
