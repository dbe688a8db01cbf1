"""Summary of a prepared folder: headline figures and a table of splits."""

from __future__ import annotations

from typing import Any, NamedTuple

from shopsight.tables import Grid


class Figure(NamedTuple):
    """A formatted number and its label."""

    value: str
    label: str


def dataset_figures(manifest: dict[str, Any]) -> list[Figure]:
    """Headline figures of the data set, from the content of ``data.json``."""
    regions, queries = manifest["regions"]["per_product"], manifest["queries"]
    return [
        Figure(f"{manifest['products']:,}", "products"),
        Figure(f"{manifest['regions']['total']:,}", "regions"),
        Figure(f"{regions['mean']:.2f}", f"regions per product (max {regions['max']})"),
        Figure(f"{manifest['feature_width']:,}", "feature dimension"),
        Figure(f"{queries['distinct']:,}", "distinct queries"),
        Figure(f"{queries['words_mean']:.1f}", f"words per query (max {queries['words_max']})"),
    ]


def split_grid(manifest: dict[str, Any]) -> Grid:
    """Sizes of every split, from the content of ``data.json``."""
    rows = [
        (
            name,
            *(f"{split[key]:,}" for key in ("rows", "queries", "products")),
            f"{split['answered_queries']:,}" if "answered_queries" in split else "–",
        )
        for name, split in manifest["splits"].items()
    ]
    return Grid(("split", "rows", "queries", "products", "queries with answers"), tuple(rows))
