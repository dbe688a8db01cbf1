"""What a search refuses: the sentence is for the person who asked, and names no file of ours."""

from __future__ import annotations

from shopsight.errors import DataError, UsageError


class UnknownProductError(DataError):
    """There is no product of that id in the index.

    Args:
        product_id: what was asked for.
    """

    def __init__(self, product_id: str) -> None:
        self.product_id = product_id
        super().__init__(f"no product {product_id[:100]!a} in the index")


class FilterError(UsageError):
    """A filter that cannot be applied: no such field, or a value that the field cannot have."""


class PhotoError(UsageError):
    """A photo that cannot be a query: not readable, or the index cannot look at photos."""
