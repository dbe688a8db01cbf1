"""Results as tables of words: one plain grid that the terminal and the HTML page both draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shopsight.metrics.evaluate import Estimate, Evaluation
from shopsight.metrics.significance import Comparison, letter
from shopsight.ranking.audit import Audit, LabelLeak, PoolStatistics, RelevanceCount

if TYPE_CHECKING:
    from rich.table import Table

_EXAMPLES = 3
# Products offered by this many pools or more share a line.
_MANY_POOLS = 6


@dataclass(frozen=True)
class Grid:
    """A table of words.

    Attributes:
        columns: the headings; all but the first are aligned to the right.
        rows: as many words each as there are columns.
        note: a line below the table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def rich_table(grid: Grid) -> Table:
    """The grid as `rich` draws it in a terminal."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, caption_justify="left")
    for place, column in enumerate(grid.columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*row)
    return table


def evaluation_grid(evaluation: Evaluation, confidence: float) -> Grid:
    """One line for each metric: mean, interval, queries."""
    rows = [(name, *_numbers(one)) for name, one in evaluation.estimates.items()]
    return Grid(("metric", "mean", _interval_heading(confidence), "queries"), tuple(rows))


def estimates_grid(what: str, estimates: Mapping[str, Estimate], confidence: float) -> Grid:
    """One line for each named estimate."""
    rows = [(name, *_numbers(one)) for name, one in estimates.items()]
    return Grid((what, "mean", _interval_heading(confidence), "queries"), tuple(rows))


def comparison_grid(comparison: Comparison, confidence: float) -> Grid:
    """One line for each run: means with the letters of the runs it beats, and intervals."""
    metrics = list(comparison.adjusted)
    rows = [
        (
            f"{letter(place)}  {one.name}",
            *(
                f"{one.estimates[metric].mean:.4f} {comparison.letters(metric, place):<1}"
                f" [{one.estimates[metric].low:.4f}, {one.estimates[metric].high:.4f}]"
                for metric in metrics
            ),
        )
        for place, one in enumerate(comparison.evaluations)
    ]
    note = (
        f"Letters: the runs that this one beats (paired randomisation test,"
        f" p < {comparison.alpha:g}, {comparison.correction} correction);"
        f" brackets: {confidence:.0%} bootstrap interval."
    )
    return Grid(("run", *metrics), tuple(rows), note)


def structure_grid(structure: PoolStatistics) -> Grid:
    """What an audit found in the pools themselves."""
    smallest, mean, largest = structure.pool_sizes
    rows = [
        ("queries", f"{structure.queries:,}"),
        ("candidates", f"{structure.candidates:,}"),
        ("candidates per query", f"{smallest} to {largest}, mean {mean:.1f}"),
        ("products", f"{structure.products:,}"),
        ("products in several pools", f"{_in_several(structure):,}"),
        ("repeated inside a pool", _listed(map("/".join, structure.repeated_in_pool))),
        ("queries without candidates", _listed(structure.empty_pools)),
    ]
    if structure.empty_queries is not None and structure.duplicate_queries is not None:
        groups = [" = ".join(group) for group in structure.duplicate_queries]
        rows += [
            ("empty queries", _listed(structure.empty_queries)),
            ("texts of several queries", _listed(groups)),
        ]
    return Grid(("pools", ""), tuple(rows))


def leak_grid(leak: LabelLeak) -> Grid:
    """What an audit found with the answers."""
    low, high = leak.difference
    rows = [
        ("queries with answers", f"{leak.queries:,}"),
        ("nDCG@5, fewest pools first", f"{leak.count_only:.4f}"),
        ("nDCG@5, random order", f"{leak.random:.4f}"),
        ("difference", f"{leak.count_only - leak.random:.4f} [{low:.4f}, {high:.4f}]"),
        ("answers not in the pool", _listed(leak.unreachable)),
        ("answered, but no pool", _listed(leak.without_pool)),
        ("pool, but no answers", _listed(leak.without_answers)),
    ]
    return Grid(("answers", ""), tuple(rows))


def relevance_grid(leak: LabelLeak) -> Grid:
    """How often a candidate is relevant, by how many pools offer it."""
    groups: dict[str, RelevanceCount] = {}
    for count, one in leak.relevance_by_pool_count.items():
        name = str(count) if count < _MANY_POOLS else f"{_MANY_POOLS} or more"
        sum_ = groups.get(name, RelevanceCount(0, 0))
        groups[name] = RelevanceCount(
            sum_.candidates + one.candidates, sum_.relevant + one.relevant
        )
    rows = [
        (name, f"{one.candidates:,}", f"{one.relevant:,}", f"{one.rate:.1%}")
        for name, one in groups.items()
    ]
    return Grid(("offered by pools", "candidates", "relevant", "rate"), tuple(rows))


def audit_grids(audit: Audit) -> list[Grid]:
    """Everything an audit found."""
    grids = [structure_grid(audit.structure)]
    if audit.leak is not None:
        grids += [relevance_grid(audit.leak), leak_grid(audit.leak)]
    return grids


def _numbers(one: Estimate) -> tuple[str, str, str]:
    return f"{one.mean:.4f}", f"[{one.low:.4f}, {one.high:.4f}]", f"{one.queries:,}"


def _interval_heading(confidence: float) -> str:
    return f"{confidence:.0%} interval"


def _in_several(structure: PoolStatistics) -> int:
    counts = structure.products_by_pool_count
    return sum(products for count, products in counts.items() if count > 1)


def _listed(names: Iterable[str]) -> str:
    """How many, and the first few.

    >>> _listed(["a", "b", "c", "d"])
    '4 (a, b, c, ...)'
    """
    every: Sequence[str] = list(names)
    if not every:
        return "none"
    more = ", ..." if len(every) > _EXAMPLES else ""
    return f"{len(every):,} ({', '.join(every[:_EXAMPLES])}{more})"
