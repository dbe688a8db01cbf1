"""The report: one HTML file that needs nothing else and asks nothing of any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from shopsight import __version__
from shopsight.formats.atomic import replacing
from shopsight.metrics.significance import Comparison, letter
from shopsight.ranking.audit import Audit
from shopsight.reports.charts import boxes_chart, curve_chart, interval_chart
from shopsight.reports.dataset import Figure
from shopsight.reports.stories import Story
from shopsight.reports.tables import Grid, audit_grids


@dataclass(frozen=True)
class FusionCurve:
    """Two runs, mixed.

    Attributes:
        first: name of the run that the weight is of.
        second: name of the other.
        metric: what the curve shows.
        weights: points in [0, 1], ascending.
        means: mean of the metric at each of them.
        chosen: which point was chosen.
        held_out: mean of the metric on queries that the weight was not fitted on.
    """

    first: str
    second: str
    metric: str
    weights: tuple[float, ...]
    means: tuple[float, ...]
    chosen: int
    held_out: float


@dataclass(frozen=True)
class Report:
    """Everything the page shows, in its order.

    Attributes:
        title: the heading.
        summary: a sentence or two below it.
        figures: the data in numbers.
        splits: the data, split by split.
        audit: of the candidate pools.
        comparison: of the models; the first metric is the headline.
        models: a line on each model of the comparison, by name.
        fusion: how two models were mixed.
        judged: name of the model that the stories are about.
        best: queries that it answers best.
        worst: queries that it answers worst.
        stages: what was done, and seconds.
        commands: command lines to try next.
    """

    title: str
    summary: str
    figures: Sequence[Figure]
    splits: Grid
    audit: Audit
    comparison: Comparison
    models: dict[str, str]
    fusion: FusionCurve | None
    judged: str
    best: Sequence[Story]
    worst: Sequence[Story]
    stages: Sequence[tuple[str, float]]
    commands: Sequence[str]


def render(report: Report) -> str:
    """The page as HTML. Whatever stands in queries or names is shown, never run."""
    environment = Environment(
        loader=PackageLoader("shopsight", "reports/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["boxes"] = lambda one: boxes_chart(one.boxes, one.labels, one.aspect)
    metrics = list(report.comparison.adjusted)
    return environment.get_template("report.html").render(
        report=report,
        version=__version__,
        metrics=metrics,
        rows=_model_rows(report, metrics),
        audit_grids=audit_grids(report.audit),
        fusion_chart=_fusion_chart(report.fusion),
    )


def write_page(report: Report, path: Path) -> None:
    """Write the page; raises OutputError where that cannot be done."""
    with replacing(path) as file:
        file.write(render(report))


def _model_rows(report: Report, metrics: list[str]) -> list[dict[str, object]]:
    comparison = report.comparison
    headline = [one.estimates[metrics[0]].mean for one in comparison.evaluations]
    return [
        {
            "letter": letter(place),
            "name": one.name,
            "about": report.models[one.name],
            "is_best": headline[place] == max(headline),
            "chart": interval_chart(one.estimates[metrics[0]]),
            "cells": [
                (one.estimates[metric], comparison.letters(metric, place)) for metric in metrics
            ],
        }
        for place, one in enumerate(comparison.evaluations)
    ]


def _fusion_chart(fusion: FusionCurve | None) -> str:
    if fusion is None:
        return ""
    x_label = f"weight of “{fusion.first}”; the rest is “{fusion.second}”"
    return curve_chart(fusion.weights, fusion.means, fusion.chosen, x_label, fusion.metric)
