"""Answers as files: the competition's JSON and TREC qrels, read by content."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shopsight.errors import InputError
from shopsight.formats.content import JsonObject, is_json, numbered_lines, parse_json, read_text
from shopsight.formats.fields import parse_grade, parse_id, shortened
from shopsight.types import Qrels


def read_qrels(path: str | Path) -> Qrels:
    """Read judgements: ``{"q": [ids]}``, ``{"q": {"p": grade}}``, or TREC qrels of four columns.

    Args:
        path: the file, plain or gzipped; "-" is standard input.

    Raises:
        InputError: unreadable, of another shape, a bad id or grade, something that stands twice.
    """
    text = read_text(path)
    relevance = _from_json(parse_json(text, path), path) if is_json(text) else _qrels(text, path)
    if not relevance:
        raise InputError("no answers in this file", path=path)
    return Qrels(relevance)


def _from_json(content: Any, path: str | Path) -> dict[str, dict[str, int]]:
    if not isinstance(content, JsonObject):
        raise InputError('a JSON list; expected {"query": [product ids]}', path=path)
    relevance: dict[str, dict[str, int]] = {}
    for key, products in content:
        try:
            query = parse_id(key, "query id")
        except ValueError as error:
            raise InputError(str(error), path=path) from error
        if query in relevance:
            raise InputError(f"query {query!r} stands here twice", path=path)
        try:
            relevance[query] = _grades(_judged(products))
        except ValueError as error:
            raise InputError(f"query {query!r}: {error}", path=path) from error
    return relevance


def _judged(products: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(products, JsonObject):
        return products
    if not isinstance(products, list):
        raise ValueError(f"{shortened(products)} is not a list of product ids")
    for entry in products:
        if isinstance(entry, list):
            raise ValueError(
                f"{shortened(entry)} is not a product id (this looks like a run, not answers)"
            )
    return [(product, 1) for product in products]


def _grades(judged: Iterable[tuple[Any, Any]]) -> dict[str, int]:
    grades: dict[str, int] = {}
    for product, grade in judged:
        product_id = parse_id(product, "product id")
        if product_id in grades:
            raise ValueError(f"product '{product_id}' stands twice")
        grades[product_id] = parse_grade(grade)
    return grades


def _qrels(text: str, path: str | Path) -> dict[str, dict[str, int]]:
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
                raise ValueError(f"product {product!r} stands twice for query {query!r}")
            column = 4
            grades[product] = parse_grade(grade)
        except ValueError as error:
            raise InputError(str(error), path=path, line=number, column=column) from error
    return relevance
