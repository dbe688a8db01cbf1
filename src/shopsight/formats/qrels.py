"""Read relevance judgements: the competition's answer files and TREC qrels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shopsight.errors import InputError
from shopsight.formats.content import (
    JsonObject,
    is_json,
    json_by_query,
    numbered_lines,
    read_text,
)
from shopsight.formats.fields import parse_grade, parse_id, shortened
from shopsight.types import Qrels


def read_qrels(path: str | Path) -> Qrels:
    """Read judgements: ``{"q": [ids]}``, ``{"q": {"p": grade}}``, or TREC qrels of four columns.

    The format is detected from the content; "-" is standard input.

    Raises:
        InputError: unreadable, another format, an invalid id or grade, a duplicate.
    """
    text = read_text(path)
    relevance = _from_json(text, path) if is_json(text) else _from_trec(text, path)
    if not relevance:
        raise InputError("no answers in this file", path=path)
    return Qrels(relevance)


def _from_json(text: str, path: str | Path) -> dict[str, dict[str, int]]:
    relevance: dict[str, dict[str, int]] = {}
    for query, products in json_by_query(text, path, '{"query": [product ids]}'):
        grades = relevance[query] = {}
        try:
            for product, grade in _graded(products):
                product_id = parse_id(product, "product id")
                if product_id in grades:
                    raise ValueError(f"duplicate product {product_id!r}")
                grades[product_id] = parse_grade(grade)
        except ValueError as error:
            raise InputError(f"query {query!r}: {error}", path=path) from error
    return relevance


def _graded(products: Any) -> Iterable[tuple[Any, Any]]:
    """(product id, grade) pairs; without grades, every listed product has grade 1."""
    if isinstance(products, JsonObject):
        return products
    if not isinstance(products, list):
        raise ValueError(f"{shortened(products)} is not a list of product ids")
    for entry in products:
        if isinstance(entry, list):
            reason = "is not a product id (this looks like a run, not answers)"
            raise ValueError(f"{shortened(entry)} {reason}")
    return [(product, 1) for product in products]


def _from_trec(text: str, path: str | Path) -> dict[str, dict[str, int]]:
    relevance: dict[str, dict[str, int]] = {}
    for number, line in numbered_lines(text):
        fields = line.split()
        if len(fields) != 4:
            reason = f"{len(fields)} columns; expected JSON, or TREC qrels: query 0 product grade"
            raise InputError(reason, path=path, line=number)
        query, _, product, grade = fields
        column = 1
        try:
            grades = relevance.setdefault(parse_id(query, "query id"), {})
            column = 3
            if parse_id(product, "product id") in grades:
                raise ValueError(f"duplicate product {product!r} for query {query!r}")
            column = 4
            grades[product] = parse_grade(grade)
        except ValueError as error:
            raise InputError(str(error), path=path, line=number, column=column) from error
    return relevance
