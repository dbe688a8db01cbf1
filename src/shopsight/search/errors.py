"""Errors of a search request; messages contain no server paths."""

from __future__ import annotations

from shopsight.errors import DataError, UsageError


class UnknownProductError(DataError):
    """The index does not hold a product."""

    def __init__(self, product_id: str) -> None:
        self.product_id = product_id
        super().__init__(f"no product {product_id[:100]!a} in the index")


class FilterError(UsageError):
    """A filter on an unknown field, or with an invalid value."""


class ChangeError(UsageError):
    """A change of an unknown field, or to a value that is not of its type."""


class PhotoError(UsageError):
    """An unreadable query photo, or an index without a region extractor."""
