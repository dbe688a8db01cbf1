"""A prepared folder in numbers: tiles and a table."""

from __future__ import annotations

from typing import Any, NamedTuple

from shopsight.tables import Grid


class Figure(NamedTuple):
    """One number worth a tile, and what it counts."""

    value: str
    label: str


def dataset_figures(summary: dict[str, Any]) -> list[Figure]:
    """The numbers that say what kind of data this is.

    Args:
        summary: the content of ``data.json``.
    """
    regions, queries = summary["regions"]["per_product"], summary["queries"]
    return [
        Figure(f"{summary['products']:,}", "products"),
        Figure(f"{summary['regions']['total']:,}", "regions"),
        Figure(f"{regions['mean']:.2f}", f"regions a product, at most {regions['max']}"),
        Figure(f"{summary['feature_width']:,}", "numbers a region"),
        Figure(f"{queries['distinct']:,}", "distinct queries"),
        Figure(f"{queries['words_mean']:.1f}", f"words a query, at most {queries['words_max']}"),
    ]


def split_grid(summary: dict[str, Any]) -> Grid:
    """One line for each split.

    Args:
        summary: the content of ``data.json``.
    """
    rows = [
        (
            name,
            f"{split['rows']:,}",
            f"{split['queries']:,}",
            f"{split['products']:,}",
            f"{split['answered_queries']:,}" if "answered_queries" in split else "–",
        )
        for name, split in summary["splits"].items()
    ]
    return Grid(("split", "rows", "queries", "products", "queries with answers"), tuple(rows))
