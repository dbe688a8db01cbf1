"""Charts as inline SVG: they carry no colours of their own but take those of the page's classes."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from shopsight.metrics.evaluate import Estimate
from shopsight.types import Box

_INTERVAL_WIDTH, _INTERVAL_HEIGHT = 220, 22
_CURVE_WIDTH, _CURVE_HEIGHT = 720, 250
_LINES_WIDTH, _LINES_HEIGHT = 480, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 16, 38
_LEGEND_STEP, _LETTER_WIDTH = 34, 6.6


class Series(NamedTuple):
    """A named line of a chart: points ``x``, ascending, and ``y``."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def interval_chart(one: Estimate) -> Markup:
    """A mean with its interval on an axis from 0 to 1."""
    low, mean, high = (v * _INTERVAL_WIDTH for v in (one.low, one.mean, one.high))
    middle = _INTERVAL_HEIGHT / 2
    return _svg(
        _INTERVAL_WIDTH,
        _INTERVAL_HEIGHT,
        f"{one.mean:.3f}, between {one.low:.3f} and {one.high:.3f}",
        [
            *(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_INTERVAL_HEIGHT}"/>'
                for x in (v * _INTERVAL_WIDTH for v in (0, 0.25, 0.5, 0.75, 1))
            ),
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            f'<circle class="dot" cx="{mean:.1f}" cy="{middle}" r="5"/>',
        ],
    )


def curve_chart(
    x: Sequence[float],
    y: Sequence[float],
    chosen: int,
    x_label: str,
    y_label: str,
    width: int = _CURVE_WIDTH,
) -> Markup:
    """A line over points ``x`` in [0, 1] and ``y``, with the ``chosen`` point marked."""
    low, high, ticks = _ticks(min(y), max(y))
    right, bottom = width - _RIGHT, _CURVE_HEIGHT - _BOTTOM

    def across(value: float) -> float:
        return _LEFT + value * (right - _LEFT)

    def up(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - _TOP)

    points = " ".join(f"{across(a):.1f},{up(b):.1f}" for a, b in zip(x, y, strict=True))
    best_x, best_y = across(x[chosen]), up(y[chosen])
    anchor = "start" if x[chosen] < 0.25 else "end" if x[chosen] > 0.75 else "middle"
    parts = [
        *(
            f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{up(t):.1f}" y2="{up(t):.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{up(t) + 4:.1f}" text-anchor="end">{t:g}'
            "</text>"
            for t in ticks
        ),
        *(
            f'<text class="tick" x="{across(t):.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{t:g}</text>"
            for t in (0, 0.25, 0.5, 0.75, 1)
        ),
        f'<line class="marked" x1="{best_x:.1f}" x2="{best_x:.1f}" y1="{_TOP}" y2="{bottom}"/>',
        f'<polyline class="curve" points="{points}"/>',
        f'<circle class="dot" cx="{best_x:.1f}" cy="{best_y:.1f}" r="5"/>',
        f'<text class="value" x="{best_x:.1f}" y="{_TOP - 4}" text-anchor="{anchor}">'
        f"{y[chosen]:.4f} at {x[chosen]:.2f}</text>",
        f'<text class="tick" x="{(_LEFT + right) / 2}" y="{_CURVE_HEIGHT - 4}"'
        f' text-anchor="middle">{escape(x_label)}</text>',
    ]
    label = f"{y_label} over {x_label}; best {y[chosen]:.4f} at {x[chosen]:.2f}"
    return _svg(width, _CURVE_HEIGHT, label, parts)


def lines_chart(series: Sequence[Series], x_label: str, y_label: str) -> Markup:
    """Lines over a common axis from 0, each named in the legend above."""
    low, high, ticks = _ticks(*_range([value for one in series for value in one.y]))
    _, last, places = _ticks(0, max((max(one.x) for one in series if len(one.x)), default=1))
    right, bottom, top = _LINES_WIDTH - _RIGHT, _LINES_HEIGHT - _BOTTOM, _TOP + 14

    def at(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + x / last * (right - _LEFT)
        return across, bottom - (y - low) / (high - low) * (bottom - top)

    parts = []
    for tick in ticks:
        _, y = at(0, tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for place in places:
        x, _ = at(place, low)
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{place:g}'
            "</text>"
        )
    legend = float(_LEFT)
    for number, one in enumerate(series, 1):
        known = zip(one.x, one.y, strict=True)
        points = [at(x, y) for x, y in known if math.isfinite(y)]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="curve line{number}" points="{drawn}"/>')
        if points:
            x, y = points[-1]
            parts.append(f'<circle class="dot line{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        parts.append(
            f'<line class="curve line{number}" x1="{legend:.0f}" x2="{legend + 16:.0f}" y1="10"'
            f' y2="10"/><text x="{legend + 21:.0f}" y="14">{escape(one.name)}</text>'
        )
        legend += _LEGEND_STEP + _LETTER_WIDTH * len(one.name)
    parts.append(
        f'<text class="tick" x="{(_LEFT + right) / 2}" y="{_LINES_HEIGHT - 4}"'
        f' text-anchor="middle">{escape(x_label)}</text>'
    )
    ends = ", ".join(f"{one.name} {one.y[-1]:.4g}" for one in series if len(one.y))
    label = f"{y_label} over {x_label}; at the end {ends}"
    return _svg(_LINES_WIDTH, _LINES_HEIGHT, label, parts)


def boxes_chart(
    boxes: Sequence[Box],
    labels: Sequence[str],
    aspect: float,
    size: int = 92,
    weights: Sequence[float] = (),
    photo: bytes = b"",
) -> Markup:
    """A photo's regions as outlines, on the photo itself if there is one.

    Args:
        boxes: regions, as shares of the image's height and width.
        labels: what each region is; shown when pointed at.
        aspect: width of the image divided by its height.
        size: the longer side on the page, in pixels.
        weights: what share of a model's attention each region has, if that is known: the more,
            the deeper its colour, or on a photo, the stronger its outline.
        photo: a JPEG file.
    """
    width, height = (size, size / aspect) if aspect >= 1 else (size * aspect, size)
    parts = [f'<rect class="photo" width="{width:.1f}" height="{height:.1f}"/>']
    kind = "region weighed" if weights else "region"
    if photo:
        kind += " seen"
        parts = [
            f'<image width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none"'
            f' href="data:image/jpeg;base64,{b64encode(photo).decode()}"/>'
        ]
    for place, ((top, left, bottom, right), label) in enumerate(zip(boxes, labels, strict=True)):
        depth = f' style="{_shown(place, weights, bool(photo))}"' if weights else ""
        share = f", weight {weights[place]:.2f}" if weights else ""
        parts.append(
            f'<rect class="{kind}" x="{left * width:.1f}"'
            f' y="{top * height:.1f}" width="{(right - left) * width:.1f}"'
            f' height="{(bottom - top) * height:.1f}"{depth}>'
            f"<title>{escape(label)}{share}</title></rect>"
        )
    return _svg(width, height, f"{len(boxes)} regions: {', '.join(labels)}", parts)


def _svg(width: float, height: float, label: str, parts: list[str]) -> Markup:
    # Everything that can hold foreign text was escaped where it was put in.
    return Markup(
        f'<svg viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _shown(place: int, weights: Sequence[float], on_photo: bool) -> str:
    """The style of a region: filled by its weight, or framed by how it compares with the others."""
    if not on_photo:
        return f"fill-opacity:{_depth(weights[place])}"
    least, most = min(weights), max(weights)
    share = (weights[place] - least) / (most - least) if most > least else 0.5
    return f"stroke-opacity:{round(share**2, 3)}"


def _depth(weight: float) -> float:
    """How opaque a region of this weight is: never fully, since regions overlap."""
    return round(0.05 + 0.65 * min(max(weight, 0.0), 1.0), 3)


def _range(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _ticks(low: float, high: float) -> tuple[float, float, list[float]]:
    """Bounds around the values, and about five round values between them.

    >>> _ticks(0.61, 0.68)
    (0.6, 0.68, [0.6, 0.62, 0.64, 0.66, 0.68])
    >>> _ticks(0, 12)
    (0.0, 15.0, [0.0, 5.0, 10.0, 15.0])
    """
    power = math.floor(math.log10(max(high - low, 1e-2) / 5))
    steps = [digit * 10.0**p for p in (power, power + 1) for digit in (1, 2, 5)]
    step = next(one for one in steps if high - low <= 5 * one * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    values = [round(i * step, 6 - power) for i in range(first, last + 1)]
    return values[0], values[-1], values
