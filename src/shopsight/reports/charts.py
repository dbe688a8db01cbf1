"""Charts as inline SVG, coloured by the CSS classes of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from shopsight.metrics.evaluate import Estimate
from shopsight.tables import photo_uri
from shopsight.types import Box, FloatArray

_INTERVAL_WIDTH, _INTERVAL_HEIGHT = 150, 22
_LINES_WIDTH, _LINES_HEIGHT = 480, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 16, 38
_LEGEND_HEIGHT, _LEGEND_STEP, _LETTER_WIDTH = 14, 34, 6.6
_UNIT_TICKS = (0, 0.25, 0.5, 0.75, 1)
_BINS = 10


class Series(NamedTuple):
    """Named line with points ``x``, ascending, and ``y``."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


class _Axes(NamedTuple):
    """Scales of a chart; the first and last ticks are the bounds."""

    width: float
    height: float
    top: float
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Page coordinates of a data point."""
        left, right = self.x_ticks[0], self.x_ticks[-1]
        low, high = self.y_ticks[0], self.y_ticks[-1]
        bottom = self.height - _BOTTOM
        across = (x - left) / (right - left) * (self.width - _RIGHT - _LEFT)
        return _LEFT + across, bottom - (y - low) / (high - low) * (bottom - self.top)

    def parts(self, x_label: str) -> list[str]:
        """Grid lines, tick labels and the label of the x axis."""
        right, bottom = self.width - _RIGHT, self.height - _BOTTOM
        parts = []
        for tick in self.y_ticks:
            _, y = self.point(self.x_ticks[0], tick)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}'
                "</text>"
            )
        labels = [(self.point(x, self.y_ticks[0])[0], bottom + 16, f"{x:g}") for x in self.x_ticks]
        labels.append(((_LEFT + right) / 2, self.height - 4, x_label))
        parts += [
            f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'
            for x, y, text in labels
        ]
        return parts


def interval_chart(estimate: Estimate) -> Markup:
    """A mean with its confidence interval on an axis from 0 to 1."""
    low, mean, high = (v * _INTERVAL_WIDTH for v in (estimate.low, estimate.mean, estimate.high))
    middle = _INTERVAL_HEIGHT / 2
    grid = (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_INTERVAL_HEIGHT}"/>'
        for x in (tick * _INTERVAL_WIDTH for tick in _UNIT_TICKS)
    )
    return _svg(
        _INTERVAL_WIDTH,
        _INTERVAL_HEIGHT,
        f"{estimate.mean:.3f}, between {estimate.low:.3f} and {estimate.high:.3f}",
        [
            *grid,
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            f'<circle class="dot" cx="{mean:.1f}" cy="{middle}" r="5"/>',
        ],
    )


def lines_chart(series: Sequence[Series], x_label: str, y_label: str) -> Markup:
    """Lines over a common axis from 0, with a legend above."""
    values = [value for line in series for value in line.y if math.isfinite(value)] or [0.0, 1.0]
    x_ticks = _ticks(0, max((max(line.x) for line in series if len(line.x)), default=1))
    top = _TOP + _LEGEND_HEIGHT
    axes = _Axes(_LINES_WIDTH, _LINES_HEIGHT, top, x_ticks, _ticks(min(values), max(values)))
    parts = axes.parts(x_label)
    legend = float(_LEFT)
    for number, line in enumerate(series, 1):
        points = _points(axes, line.x, line.y)
        parts.append(f'<polyline class="curve line{number}" points="{points}"/>')
        if points:
            x, _, y = points.rpartition(" ")[2].partition(",")
            parts.append(f'<circle class="dot line{number}" cx="{x}" cy="{y}" r="4"/>')
        parts.append(
            f'<line class="curve line{number}" x1="{legend:.0f}" x2="{legend + 16:.0f}" y1="10"'
            f' y2="10"/><text x="{legend + 21:.0f}" y="14">{escape(line.name)}</text>'
        )
        legend += _LEGEND_STEP + _LETTER_WIDTH * len(line.name)
    ends = ", ".join(f"{line.name} {line.y[-1]:.4g}" for line in series if len(line.y))
    return _svg(_LINES_WIDTH, _LINES_HEIGHT, f"{y_label} over {x_label}; at the end {ends}", parts)


def boxes_chart(
    boxes: Sequence[Box],
    labels: Sequence[str],
    aspect: float,
    size: int = 92,
    weights: Sequence[float] = (),
    photo: str = "",
) -> Markup:
    """Outlines of a product's regions, on its photo if there is one.

    ``aspect`` is width / height, ``size`` the longer side in pixels; ``labels`` are tooltips; the
    attention ``weights`` are drawn as opacity of the fill, or on a photo, of the outline;
    ``photo`` is the id of a symbol on the page (`photo_symbol`).
    """
    width, height = (size, size / aspect) if aspect >= 1 else (size * aspect, size)
    if photo:
        background = f'<use href="#{photo}" width="{width:.1f}" height="{height:.1f}"/>'
    else:
        background = f'<rect class="photo" width="{width:.1f}" height="{height:.1f}"/>'
    kind = "region" + (" weighed" if weights else "") + (" seen" if photo else "")
    parts = [background]
    for i, ((top, left, bottom, right), label) in enumerate(zip(boxes, labels, strict=True)):
        style = f' style="{_opacity(i, weights, bool(photo))}"' if weights else ""
        weight = f", weight {weights[i]:.2f}" if weights else ""
        parts.append(
            f'<rect class="{kind}" x="{left * width:.1f}"'
            f' y="{top * height:.1f}" width="{(right - left) * width:.1f}"'
            f' height="{(bottom - top) * height:.1f}"{style}>'
            f"<title>{escape(label)}{weight}</title></rect>"
        )
    return _svg(width, height, f"{len(boxes)} regions: {', '.join(labels)}", parts)


def photo_symbol(name: str, jpeg: bytes) -> Markup:
    """A photo that `boxes_chart` can show in any number of places."""
    source = photo_uri(jpeg)
    return Markup(
        f'<symbol id="{name}" viewBox="0 0 1 1" preserveAspectRatio="none"><image width="1"'
        f' height="1" preserveAspectRatio="none" href="{source}"/></symbol>'
    )


def histogram_chart(values: FloatArray, reference: FloatArray | None, x_label: str) -> Markup:
    """Numbers of queries by value from 0 to 1 as bars, and those of another run as a line."""
    counts, edges = np.histogram(values, _BINS, (0, 1))
    others = counts if reference is None else np.histogram(reference, _BINS, (0, 1))[0]
    high = int(max(counts.max(), others.max()))
    axes = _Axes(_LINES_WIDTH, _LINES_HEIGHT, _TOP, _UNIT_TICKS, _ticks(0, high))
    parts = axes.parts(x_label)
    for count, left, right in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        (x, y), (end, bottom) = axes.point(left, count), axes.point(right, 0)
        parts.append(
            f'<rect class="bar" x="{x + 1:.1f}" y="{y:.1f}" width="{end - x - 2:.1f}"'
            f' height="{bottom - y:.1f}"><title>{left:.1f} to {right:.1f}: {count} queries'
            "</title></rect>"
        )
    if reference is not None:
        steps = [(edge, n) for i, n in enumerate(others) for edge in (edges[i], edges[i + 1])]
        points = " ".join("{:.1f},{:.1f}".format(*axes.point(x, n)) for x, n in steps)
        parts.append(f'<polyline class="curve line2" points="{points}"/>')
    label = f"{x_label} of {len(values)} queries; in tenths {', '.join(map(str, counts.tolist()))}"
    return _svg(_LINES_WIDTH, _LINES_HEIGHT, label, parts)


def _svg(width: float, height: float, label: str, parts: list[str]) -> Markup:
    # Markup is not escaped again: every text from outside was escaped when its part was built.
    return Markup(
        f'<svg viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _points(axes: _Axes, xs: Sequence[float], ys: Sequence[float]) -> str:
    finite = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
    return " ".join("{:.1f},{:.1f}".format(*axes.point(x, y)) for x, y in finite)


def _opacity(index: int, weights: Sequence[float], on_photo: bool) -> str:
    """CSS opacity of a region by its attention weight."""
    if not on_photo:
        # Never opaque, since regions overlap.
        return f"fill-opacity:{round(0.05 + 0.65 * min(max(weights[index], 0.0), 1.0), 3)}"
    # Outlines must be distinguishable on a busy photo: relative to the other regions, and squared,
    # so that only the strongest stand out.
    low, high = min(weights), max(weights)
    relative = (weights[index] - low) / (high - low) if high > low else 0.5
    return f"stroke-opacity:{round(relative**2, 3)}"


def _ticks(low: float, high: float) -> list[float]:
    """About five round values whose first and last enclose the range.

    >>> _ticks(0.61, 0.68)
    [0.6, 0.62, 0.64, 0.66, 0.68]
    >>> _ticks(0, 12)
    [0.0, 5.0, 10.0, 15.0]
    """
    power = math.floor(math.log10(max(high - low, 1e-2) / 5))
    steps = [digit * 10.0**p for p in (power, power + 1) for digit in (1, 2, 5)]
    step = next(step for step in steps if high - low <= 5 * step * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 6 - power) for i in range(first, max(last, first + 1) + 1)]
