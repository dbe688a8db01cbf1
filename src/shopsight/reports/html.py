"""The report: one HTML file that needs nothing else and asks nothing of any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shopsight import __version__
from shopsight.formats.atomic import atomic_write
from shopsight.metrics.significance import Comparison, letter
from shopsight.ranking.audit import Audit
from shopsight.reports.charts import (
    Series,
    boxes_chart,
    curve_chart,
    interval_chart,
    lines_chart,
)
from shopsight.reports.dataset import Figure
from shopsight.reports.query_examples import Candidate, QueryExample
from shopsight.tables import Grid

_HALF = 480  # width of a chart that shares its line with another
_PHOTO = 144  # longer side of a product's photo


@dataclass(frozen=True)
class FusionCurve:
    """What becomes of a fused run as one member's weight goes from 0 to 1.

    Attributes:
        member: the run that the weight is of.
        others: what has the rest, in words.
        weights: points in [0, 1], ascending.
        means: mean of the metric at each of them.
        chosen: which point was chosen.
    """

    member: str
    others: str
    weights: tuple[float, ...]
    means: tuple[float, ...]
    chosen: int


@dataclass(frozen=True)
class Fusion:
    """How runs were mixed.

    Attributes:
        metric: what the curves show.
        curves: one for each member; of two members, one for the first says it all.
        held_out: mean of the metric on queries that the weights were not fitted on.
    """

    metric: str
    curves: tuple[FusionCurve, ...]
    held_out: float


@dataclass(frozen=True)
class Learning:
    """How one model learned.

    Attributes:
        stage: its name.
        about: a line below the name.
        losses: the training loss and its parts over epochs.
        metric: what ``validation`` is of.
        validation: the metric on the validation queries over epochs; empty if never ranked.
    """

    stage: str
    about: str
    losses: tuple[Series, ...]
    metric: str
    validation: tuple[Series, ...]


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
        learning: how the trained ones learned.
        fusion: how models were mixed.
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
    learning: Sequence[Learning]
    fusion: Fusion | None
    judged: str
    best: Sequence[QueryExample]
    worst: Sequence[QueryExample]
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
    environment.filters["boxes"] = _boxes
    metrics = list(report.comparison.adjusted)
    return environment.get_template("report.html").render(
        report=report,
        version=__version__,
        metrics=metrics,
        rows=_model_rows(report, metrics),
        audit_grids=report.audit.grids(),
        learning=[_learning_charts(one) for one in report.learning],
        fusion_charts=_fusion_charts(report.fusion),
        weighed=any(one.words for one in (*report.best, *report.worst)),
        photos=any(c.photo for one in (*report.best, *report.worst) for c in one.candidates),
        stages=_stage_rows(report.stages),
    )


def write_page(report: Report, path: Path) -> None:
    """Write the page; raises OutputError where that cannot be done."""
    with atomic_write(path) as file:
        file.write(render(report))


def _boxes(one: Candidate) -> Markup:
    size = {"size": _PHOTO} if one.photo else {}
    return boxes_chart(
        one.boxes, one.labels, one.aspect, weights=one.weights, photo=one.photo, **size
    )


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


def _learning_charts(one: Learning) -> dict[str, object]:
    charts = [lines_chart(one.losses, "epoch", "training loss")]
    if one.validation:
        charts.append(lines_chart(one.validation, "epoch", one.metric))
    return {"stage": one.stage, "about": one.about, "charts": charts}


def _fusion_charts(fusion: Fusion | None) -> list[Markup]:
    if fusion is None:
        return []
    width = {} if len(fusion.curves) == 1 else {"width": _HALF}
    return [
        curve_chart(
            one.weights,
            one.means,
            one.chosen,
            f"weight of “{one.member}”; {one.others}",
            fusion.metric,
            **width,
        )
        for one in fusion.curves
    ]


def _stage_rows(stages: Sequence[tuple[str, float]]) -> list[tuple[str, str, float]]:
    """Name, time in words, and share of the longest stage."""
    longest = max((seconds for _, seconds in stages), default=0.0) or 1.0
    return [(name, _duration(seconds), seconds / longest) for name, seconds in stages]


def _duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> [_duration(s) for s in (1.25, 75, 7262)]
    ['1.2 s', '1 min 15 s', '2 h 1 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
