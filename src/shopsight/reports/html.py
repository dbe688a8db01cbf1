"""HTML report: a single self-contained file without network access."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shopsight import __version__
from shopsight.config import CompareConfig
from shopsight.formats.atomic import atomic_write
from shopsight.inference.ensemble import Ensemble
from shopsight.metrics.significance import letter
from shopsight.metrics.slices import Slice
from shopsight.ranking.audit import Audit
from shopsight.reports.charts import (
    boxes_chart,
    histogram_chart,
    interval_chart,
    lines_chart,
    photo_symbol,
)
from shopsight.reports.dataset import Figure
from shopsight.reports.learning_curves import LearningCurves
from shopsight.reports.model_table import ModelRow
from shopsight.reports.query_examples import Candidate, QueryExample
from shopsight.reports.query_table import QueryRow
from shopsight.tables import Grid, photo_uri
from shopsight.types import FloatArray

_PHOTO_SIZE = 144  # longer side of a product's photo


@dataclass(frozen=True, eq=False)
class Report:
    """Content of the report, in the order of the page."""

    title: str
    headline: str
    figures: Sequence[Figure]
    metric: str  # the headline metric
    models: Sequence[ModelRow]  # the last is recommended
    tests: CompareConfig
    power_note: str
    ensemble: Ensemble | None  # None if no runs were fused
    reference: str  # name of the run that slices are compared with; empty if there is none
    slices: Mapping[str, Sequence[Slice]]  # by kind of query
    values: FloatArray  # (Q,) metric of the recommended run
    reference_values: FloatArray | None
    best: Sequence[QueryExample]
    worst: Sequence[QueryExample]
    runs: Sequence[str]  # columns of ``queries``
    queries: Sequence[QueryRow]
    learning: Sequence[LearningCurves]
    splits: Grid
    audit: Audit
    provenance: Mapping[str, Any]
    stages: Sequence[tuple[str, float, float]]  # names, seconds and MiB
    commands: Sequence[str]  # suggested command lines


def render(report: Report) -> str:
    """Render the report as HTML."""
    # Queries and names come from files of others: autoescape shows their markup as text.
    environment = Environment(
        loader=PackageLoader("shopsight", "reports/templates"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    examples = (*report.best, *report.worst)
    photos = _numbered("photo", (c.photo for row in examples for c in row.candidates))
    thumbs = _numbered("thumb", (product.thumb for row in report.queries for product in row.missed))
    environment.filters.update(
        boxes=partial(_boxes, photos=photos), duration=_duration, interval=interval_chart,
        letter=letter, lines=lines_chart, photo_uri=photo_uri,
        sentence=lambda text: text[:1].upper() + text[1:],
    )  # fmt: skip
    script = environment.get_template("report.js").render()
    return environment.get_template("report.html").render(
        report=report,
        version=__version__,
        script=Markup(script),
        # The policy of the page allows this script and no other.
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        histogram=histogram_chart(report.values, report.reference_values, report.metric),
        audit_grids=report.audit.grids(),
        weighed=any(example.words for example in examples),
        photos=[photo_symbol(name, jpeg) for jpeg, name in photos.items()],
        thumbs=thumbs,
        longest=max((seconds for _, seconds, _ in report.stages), default=0.0) or 1.0,
    )


def write_page(report: Report, path: Path) -> None:
    """Write the report as an HTML file. Raises OutputError."""
    with atomic_write(path) as file:
        file.write(render(report))


def _numbered(prefix: str, files: Iterable[bytes]) -> dict[bytes, str]:
    """A name for every distinct file, so that the page holds it once."""
    distinct = dict.fromkeys(file for file in files if file)
    return {file: f"{prefix}{number}" for number, file in enumerate(distinct)}


def _boxes(product: Candidate, photos: Mapping[bytes, str]) -> Markup:
    size = {"size": _PHOTO_SIZE} if product.photo else {}
    return boxes_chart(
        product.boxes, product.labels, product.aspect, weights=product.weights,
        photo=photos.get(product.photo, ""), **size,
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
