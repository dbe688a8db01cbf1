"""A query log as answers: which products people clicked, against how often they saw them.

For a query and a product with c clicks in n impressions the smoothed click rate is
(c + w p) / (n + w), where p is the prior rate and w what it counts for: a product with one click in
one impression does not beat one with forty in fifty. Relevant is what was clicked often enough and
whose rate reaches a share of the best product's. Places are not corrected for: what stands first
is clicked more, so judge logs of one ranking with care.
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
from shopsight.formats.fields import normalised_name, parse_id, shortened
from shopsight.text.normalise import normalise

_QUERY = ("query", "query_text", "q")
_PRODUCT = ("product_id", "product", "item_id", "item", "pid")
_COLUMNS = "query, product_id, clicks and, if known, impressions"


@dataclass
class Counts:
    """What a log says about one query and one product."""

    clicks: int = 0
    impressions: int = 0


@dataclass
class Log:
    """A query log, added up.

    Attributes:
        counts: by query in its normal form, by product.
        lines: how many were read.
        empty: lines whose query has no character left in its normal form.
        seen: whether the log says what was shown; else every click of a query counts as an
            impression of each of its clicked products.
    """

    counts: dict[str, dict[str, Counts]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counts))
    )
    lines: int = 0
    empty: int = 0
    seen: bool = False


def read_log(path: str | Path) -> Log:
    """Read a query log, by content.

    Either JSON lines of events, ``{"event": "search", "query": q, "products": [ids shown]}`` and
    ``{"event": "click", "query": q, "product": id}``, as ``shopsight serve --log`` writes them; or
    CSV, TSV or JSON lines with the columns query, product_id, clicks and, if known, impressions.

    Args:
        path: the file, plain or gzipped; "-" is standard input.

    Raises:
        InputError: unreadable, of another shape, a bad id or number, with the line.
    """
    text = read_text(path)
    log = Log()
    rows = _json_lines(text, path) if text.lstrip()[:1] == "{" else _table(text, path)
    for line, row in rows:
        log.lines += 1
        try:
            _add(log, row)
        except ValueError as error:
            raise InputError(str(error), path=path, line=line) from error
    if not log.seen:
        for products in log.counts.values():
            clicks = sum(one.clicks for one in products.values())
            for one in products.values():
                one.impressions = clicks
    return log


def judged(log: Log, config: ClickLabelConfig) -> dict[str, dict[str, int]]:
    """Grades above 0 by query and product; queries without any are left out.

    >>> log = Log(seen=True)
    >>> log.counts["red shoe"].update(a=Counts(40, 50), b=Counts(1, 1), c=Counts(1, 100))
    >>> judged(log, ClickLabelConfig(prior=0.1))
    {'red shoe': {'a': 1}}
    """
    prior = config.prior or _rate_of_all(log)
    found: dict[str, dict[str, int]] = {}
    for query in sorted(log.counts):
        products = log.counts[query]
        rates = {
            product: (one.clicks + config.weight * prior)
            / max(one.impressions + config.weight, 1e-12)
            for product, one in products.items()
        }
        best = max(rates.values(), default=0.0)
        grades = {
            product: max(1, math.ceil(config.grades * rates[product] / best))
            for product in sorted(products)
            if products[product].clicks >= config.clicks
            and best > 0
            and rates[product] >= config.share * best
        }
        if grades:
            found[query] = grades
    return found


def write_pairs(log: Log, answers: dict[str, dict[str, int]], path: str | Path) -> None:
    """Write the relevant pairs as a table for ``shopsight prepare photos --clicks``.

    Columns: query, product_id, clicks; tab-separated where the name ends in ``.tsv``.
    """
    with atomic_write(path) as file:
        table = csv.writer(
            file, delimiter="\t" if str(path).endswith(".tsv") else ",", lineterminator="\n"
        )
        table.writerow(["query", "product_id", "clicks"])
        for query, products in answers.items():
            for product in products:
                table.writerow([query, product, log.counts[query][product].clicks])


def _rate_of_all(log: Log) -> float:
    every = [one for products in log.counts.values() for one in products.values()]
    clicks, shown = sum(one.clicks for one in every), sum(one.impressions for one in every)
    return clicks / shown if shown else 0.0


def _add(log: Log, row: dict[str, Any]) -> None:
    query = _first(row, _QUERY)
    if not isinstance(query, str):
        raise ValueError(f"query {shortened(query)} is not a text")
    name = normalise(query)
    if not name:
        log.empty += 1
        return
    products = log.counts[parse_id(name, "query")]
    event = row.get("event")
    if event == "search":
        log.seen = True
        shown = row.get("products")
        if not isinstance(shown, list):
            raise ValueError('a search without its "products"')
        for one in shown:
            products[parse_id(one, "product id")].impressions += 1
    elif event == "click":
        products[parse_id(_first(row, _PRODUCT), "product id")].clicks += 1
    elif event is not None:
        raise ValueError(f"event {shortened(event)} is neither search nor click")
    else:
        one = products[parse_id(_first(row, _PRODUCT), "product id")]
        one.clicks += _count(row.get("clicks"), "clicks")
        if row.get("impressions") not in (None, ""):
            log.seen = True
            one.impressions += _count(row["impressions"], "impressions")


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in row:
            return row[name]
    raise ValueError(f"no {names[0]} in it; a log has {_COLUMNS}, or events")


def _count(value: Any, what: str) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:12])
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**12:
        raise ValueError(f"{what} {shortened(value)} is not a whole number from 0 on")
    return value


def _json_lines(text: str, path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in numbered_lines(text):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError("broken JSON", path=path, line=number) from error
        if not isinstance(row, dict):
            raise InputError("not a JSON object", path=path, line=number)
        yield number, {normalised_name(str(name)): value for name, value in row.items()}


def _table(text: str, path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    first = text.split("\n", 1)[0]
    rows = csv.reader(io.StringIO(text), delimiter="\t" if "\t" in first else ",", strict=True)
    names: list[str] = []
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise InputError(f"broken table, {error}", path=path, line=rows.line_num) from error
        if row is None:
            return
        if not names:
            names = [normalised_name(name) for name in row]
            if "clicks" not in names:
                raise InputError(f"no column clicks; a log has {_COLUMNS}", path=path, line=1)
        elif row:
            if len(row) != len(names):
                reason = f"{len(row)} columns, but the header has {len(names)}"
                raise InputError(reason, path=path, line=rows.line_num)
            yield rows.line_num, dict(zip(names, row, strict=True))
