"""Product routes: fields, regions and photo."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shopsight.search.index import remove_products, update_fields
from shopsight.web.requests import checked_id, read_json
from shopsight.web.responses import Json, cached, etag_of, problem_docs
from shopsight.web.schemas import Change, Product
from shopsight.web.service import SearchService

_PHOTO_DOCS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The cached photo is current."},
    **problem_docs(404),
}
_CHANGE = {
    "required": True,
    "content": {"application/json": {"schema": Change.model_json_schema()}},
}


def products_router(service: SearchService) -> APIRouter:
    """Routes of single products."""
    router, searcher = APIRouter(tags=["products"]), service.searcher

    # Ids may contain slashes, so {product_id:path} matches greedily and the photo's route, which
    # is longer, must be declared first.
    @router.get("/products/{product_id:path}/photo", response_class=Response, responses=_PHOTO_DOCS)
    async def photo(request: Request, product_id: str) -> Response:
        """Photo of a product, a JPEG file."""
        body = await service.read(searcher.photo, checked_id(product_id))
        if body is None:
            raise HTTPException(404, "this product has no photo")
        return cached(request, body, "image/jpeg", etag_of(body), "private, max-age=600")

    @router.get("/products/{product_id:path}", response_model=Product, responses=problem_docs(404))
    async def product(product_id: str) -> Response:
        """Fields and regions of a product."""
        return Json((await service.read(searcher.product, checked_id(product_id))).to_dict())

    @router.patch("/products/{product_id:path}", response_model=Product,
                  responses=problem_docs(403, 404, 408, 409, 413, 415),
                  openapi_extra={"requestBody": _CHANGE})  # fmt: skip
    async def change_product(request: Request, product_id: str) -> Response:
        """Change fields of a product; null empties one. Needs the token."""
        changes = {checked_id(product_id): (await read_json(request, Change)).fields}
        await service.change(update_fields, changes)
        return await product(product_id)

    @router.delete("/products/{product_id:path}", status_code=204, response_class=Response,
                   responses=problem_docs(403, 404, 409))  # fmt: skip
    async def delete_product(product_id: str) -> Response:
        """Remove a product. Needs the token."""
        await service.change(remove_products, [checked_id(product_id)])
        return Response(status_code=204)

    return router
