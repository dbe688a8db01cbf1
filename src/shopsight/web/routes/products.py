"""Product routes: fields, regions and photo."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shopsight.web.requests import checked_id
from shopsight.web.responses import Json, cached, problem_docs
from shopsight.web.schemas import Product
from shopsight.web.service import SearchService

_JPEG = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}


def products_router(service: SearchService) -> APIRouter:
    """Routes of single products."""
    router, searcher = APIRouter(), service.searcher

    # Ids may contain slashes, so {product_id:path} matches greedily and the photo's route, which
    # is longer, must be declared first.
    @router.get(
        "/products/{product_id:path}/photo",
        summary="Photo of a product.",
        response_class=Response,
        responses={
            200: {"content": _JPEG, "description": "A JPEG file."},
            304: {"description": "The cached photo is current."},
            **problem_docs({404: "Unknown product, or a product without a photo."}),
        },
    )
    async def photo(request: Request, product_id: str) -> Response:
        body = await service.read(searcher.photo, checked_id(product_id))
        if body is None:
            raise HTTPException(404, "this product has no photo")
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        return cached(request, body, "image/jpeg", etag, "private, max-age=600")

    @router.get(
        "/products/{product_id:path}",
        response_model=Product,
        response_description="The product.",
        summary="Fields and regions of a product.",
        responses=problem_docs({404: "Unknown product."}),
    )
    async def product(product_id: str) -> Response:
        return Json((await service.read(searcher.product, checked_id(product_id))).to_json())

    return router
