"""Relevance labels (qrels) from a click log.

For a query and a product with c clicks in n impressions the smoothed click-through rate is
(c + w p) / (n + w), where p is the prior rate and w its weight in impressions: one click in one
impression does not outrank forty in fifty. A product is relevant if it was clicked often enough
and its rate reaches a fraction of the best product's rate. Position bias is not corrected: higher
ranks are clicked more often, so use logs of a single ranking with care.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shopsight.config import ClickLabelConfig
from shopsight.errors import InputError
from shopsight.formats.atomic import atomic_write
from shopsight.formats.content import numbered_lines, read_text
from shopsight.formats.fields import normalised_name, parse_count, parse_id, shortened
from shopsight.text.normalise import normalise

Grades = dict[str, dict[str, int]]
"""Relevance grades by query and product."""

_QUERY = ("query", "query_text", "q")
_PRODUCT = ("product_id", "product", "item_id", "item", "pid")
_EVENT = {"kind", "event", "version"}
_SHOWN = ("search", "impression")
LOG_VERSION = 2
"""Version of the events that `shopsight serve --log` writes."""
_COLUMNS = "query, product_id, clicks and optionally impressions"


@dataclass
class PairCounts:
    """Click counts of a query-product pair."""

    clicks: int = 0
    impressions: int = 0

    def rate(self, prior: float, weight: float) -> float:
        """Smoothed click-through rate."""
        return (self.clicks + weight * prior) / max(self.impressions + weight, 1e-12)


@dataclass
class ClickLog:
    """A click log, summed by normalised query and product.

    ``empty`` counts lines whose normalised query is empty, and ``ignored`` those of other kinds
    than searches and clicks, or of another version of the log. Without impressions in the log,
    every click of a query counts as an impression of each of its clicked products.
    """

    pairs: dict[str, dict[str, PairCounts]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(PairCounts))
    )
    lines: int = 0
    empty: int = 0
    ignored: int = 0
    has_impressions: bool = False

    def click_rate(self) -> float:
        """Click-through rate of the whole log."""
        counts = [pair for products in self.pairs.values() for pair in products.values()]
        shown = sum(pair.impressions for pair in counts)
        return sum(pair.clicks for pair in counts) / shown if shown else 0.0


def read_click_log(path: str | Path) -> ClickLog:
    """Read a click log; the format is detected from the content.

    Either JSON lines of events as `shopsight serve --log` writes them, ``{"version": 2, "kind":
    "search", "query": q, "products": [ids shown]}`` and ``{"version": 2, "kind": "click", "query":
    q, "product": id}``; or CSV, TSV or JSON lines with the columns query, product_id, clicks and
    optionally impressions. Events of other kinds and of other versions are ignored: version 1
    logged every prefix of a query that was being typed.

    Args:
        path: the file, plain or gzipped; "-" is standard input.

    Raises:
        InputError: unreadable, another format, or an invalid id or number, with its line.
    """
    text = read_text(path)
    log = ClickLog()
    rows = _json_rows(text, path) if text.lstrip()[:1] == "{" else _table_rows(text, path)
    for line, row in rows:
        log.lines += 1
        try:
            _add(log, row)
        except ValueError as error:
            raise InputError(str(error), path=path, line=line) from error
    if not log.has_impressions:
        for products in log.pairs.values():
            clicks = sum(pair.clicks for pair in products.values())
            for pair in products.values():
                pair.impressions = clicks
    return log


def label_clicks(log: ClickLog, config: ClickLabelConfig) -> Grades:
    """Grades above 0; queries without a relevant product are omitted.

    >>> log = ClickLog(has_impressions=True)
    >>> counts = {"a": PairCounts(40, 50), "b": PairCounts(1, 1), "c": PairCounts(1, 100)}
    >>> log.pairs["red shoe"] = counts
    >>> label_clicks(log, ClickLabelConfig(prior=0.1))
    {'red shoe': {'a': 1}}
    """
    prior = config.prior or log.click_rate()
    labels: Grades = {}
    for query, products in sorted(log.pairs.items()):
        rates = {name: pair.rate(prior, config.prior_weight) for name, pair in products.items()}
        best = max(rates.values(), default=0.0)
        grades = {
            name: max(1, math.ceil(config.grades * rates[name] / best))
            for name in sorted(products)
            if products[name].clicks >= config.min_clicks
            and best > 0
            and rates[name] >= config.min_ratio * best
        }
        if grades:
            labels[query] = grades
    return labels


def write_pairs(log: ClickLog, labels: Grades, path: str | Path) -> None:
    """Write the relevant pairs as a table for ``shopsight prepare photos --clicks``.

    Columns: query, product_id, clicks; tab-separated if the name ends in ``.tsv``.
    """
    delimiter = "\t" if str(path).endswith(".tsv") else ","
    with atomic_write(path) as file:
        table = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        table.writerow(["query", "product_id", "clicks"])
        for query, products in labels.items():
            for product in products:
                table.writerow([query, product, log.pairs[query][product].clicks])


def _add(log: ClickLog, row: dict[str, Any]) -> None:
    is_event = not _EVENT.isdisjoint(row)
    kind = row.get("kind") if is_event else None
    if is_event and (row.get("version") != LOG_VERSION or kind not in (*_SHOWN, "click")):
        log.ignored += 1
        return
    query = _first(row, _QUERY)
    if not isinstance(query, str):
        raise ValueError(f"query {shortened(query)} is not a string")
    name = normalise(query)
    if not name:
        log.empty += 1
        return
    products = log.pairs[parse_id(name, "query")]
    if kind in _SHOWN:
        log.has_impressions = True
        if not isinstance(row.get("products"), list):
            raise ValueError(f'{kind} event without "products"')
        for product in row["products"]:
            products[parse_id(product, "product id")].impressions += 1
        return
    pair = products[parse_id(_first(row, _PRODUCT), "product id")]
    pair.clicks += 1 if is_event else parse_count(row.get("clicks"), "clicks")
    if not is_event and row.get("impressions") not in (None, ""):
        log.has_impressions = True
        pair.impressions += parse_count(row["impressions"], "impressions")


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in row:
            return row[name]
    raise ValueError(f"no column {names[0]}; expected {_COLUMNS}, or events")


def _json_rows(text: str, path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in numbered_lines(text):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError("broken JSON", path=path, line=number) from error
        if not isinstance(row, dict):
            raise InputError("not a JSON object", path=path, line=number)
        yield number, {normalised_name(str(name)): value for name, value in row.items()}


def _table_rows(text: str, path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    delimiter = "\t" if "\t" in text.split("\n", 1)[0] else ","
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        names = [normalised_name(name) for name in next(rows)]
        if "clicks" not in names:
            raise InputError(f"no column clicks; expected {_COLUMNS}", path=path, line=1)
        for row in filter(None, rows):
            if len(row) != len(names):
                reason = f"{len(row)} columns, but the header has {len(names)}"
                raise InputError(reason, path=path, line=rows.line_num)
            yield rows.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise InputError(f"broken table, {error}", path=path, line=rows.line_num) from error
