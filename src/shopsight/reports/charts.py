"""Charts as inline SVG: they carry no colours of their own but take those of the page's classes."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from shopsight.metrics.evaluate import Estimate
from shopsight.types import Box

_INTERVAL_WIDTH, _INTERVAL_HEIGHT = 220, 22
_CURVE_WIDTH, _CURVE_HEIGHT = 720, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 16, 38


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
    x: Sequence[float], y: Sequence[float], chosen: int, x_label: str, y_label: str
) -> Markup:
    """A line over points ``x`` in [0, 1] and ``y``, with the ``chosen`` point marked."""
    low, high, ticks = _ticks(min(y), max(y))
    right, bottom = _CURVE_WIDTH - _RIGHT, _CURVE_HEIGHT - _BOTTOM

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
            f'<text class="tick" x="{_LEFT - 8}" y="{up(t) + 4:.1f}" text-anchor="end">{t:.2f}'
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
    return _svg(_CURVE_WIDTH, _CURVE_HEIGHT, label, parts)


def boxes_chart(
    boxes: Sequence[Box],
    labels: Sequence[str],
    aspect: float,
    size: int = 92,
) -> Markup:
    """A photo's regions as outlines.

    Args:
        boxes: regions, as shares of the image's height and width.
        labels: what each region is; shown when pointed at.
        aspect: width of the image divided by its height.
        size: the longer side on the page, in pixels.
    """
    width, height = (size, size / aspect) if aspect >= 1 else (size * aspect, size)
    parts = [f'<rect class="photo" width="{width:.1f}" height="{height:.1f}"/>']
    for (top, left, bottom, right), label in zip(boxes, labels, strict=True):
        parts.append(
            f'<rect class="region" x="{left * width:.1f}" y="{top * height:.1f}"'
            f' width="{(right - left) * width:.1f}" height="{(bottom - top) * height:.1f}">'
            f"<title>{escape(label)}</title></rect>"
        )
    return _svg(width, height, f"{len(boxes)} regions: {', '.join(labels)}", parts)


def _svg(width: float, height: float, label: str, parts: list[str]) -> Markup:
    # Everything that can hold foreign text was escaped where it was put in.
    return Markup(
        f'<svg viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _ticks(low: float, high: float) -> tuple[float, float, list[float]]:
    """Bounds around the values, and about five round values between them.

    >>> _ticks(0.61, 0.68)
    (0.6, 0.68, [0.6, 0.62, 0.64, 0.66, 0.68])
    """
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if high - low <= 5 * s or s == 0.5)
    first, last = int(low / step), -int(-high / step)
    while last * step < high or last == first:
        last += 1
    values = [round(i * step, 2) for i in range(first, last + 1)]
    return values[0], values[-1], values
