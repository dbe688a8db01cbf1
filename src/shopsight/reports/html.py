"""HTML report: a single self-contained file without scripts or network access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shopsight import __version__
from shopsight.formats.atomic import atomic_write
from shopsight.inference.ensemble import Ensemble
from shopsight.metrics.significance import Comparison, letter
from shopsight.ranking.audit import Audit
from shopsight.reports.charts import boxes_chart, interval_chart, lines_chart
from shopsight.reports.dataset import Figure
from shopsight.reports.learning_curves import LearningCurves
from shopsight.reports.query_examples import Candidate, QueryExample
from shopsight.tables import Grid

_PHOTO_SIZE = 144  # longer side of a product's photo


@dataclass(frozen=True)
class Report:
    """Content of the report, in the order of the page."""

    title: str
    summary: str
    figures: Sequence[Figure]
    comparison: Comparison  # the first metric is the headline metric
    models: dict[str, str]  # description of each run of the comparison
    judged: str  # name of the run that ``best`` and ``worst`` show
    best: Sequence[QueryExample]
    worst: Sequence[QueryExample]
    learning: Sequence[LearningCurves]
    ensemble: Ensemble | None  # None if no runs were fused
    splits: Grid
    audit: Audit
    stages: Sequence[tuple[str, float]]  # names and seconds
    commands: Sequence[str]  # suggested command lines


def render(report: Report) -> str:
    """Render the report as HTML."""
    # Queries and names come from files of others: autoescape shows their markup as text.
    environment = Environment(
        loader=PackageLoader("shopsight", "reports/templates"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        boxes=_boxes, duration=_duration, interval=interval_chart, letter=letter, lines=lines_chart
    )
    metrics = list(report.comparison.adjusted)
    examples = (*report.best, *report.worst)
    return environment.get_template("report.html").render(
        report=report,
        version=__version__,
        metrics=metrics,
        best_mean=max(run.estimates[metrics[0]].mean for run in report.comparison.evaluations),
        audit_grids=report.audit.grids(),
        weighed=any(example.words for example in examples),
        photos=any(c.photo for example in examples for c in example.candidates),
        longest=max((seconds for _, seconds in report.stages), default=0.0) or 1.0,
    )


def write_page(report: Report, path: Path) -> None:
    """Write the report as an HTML file. Raises OutputError."""
    with atomic_write(path) as file:
        file.write(render(report))


def _boxes(product: Candidate) -> Markup:
    size = {"size": _PHOTO_SIZE} if product.photo else {}
    return boxes_chart(
        product.boxes, product.labels, product.aspect, weights=product.weights,
        photo=product.photo, **size,
    )  # fmt: skip


def _duration(seconds: float) -> str:
    """Seconds in readable units.

    >>> [_duration(s) for s in (1.25, 75, 7262)]
    ['1.2 s', '1 min 15 s', '2 h 1 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
