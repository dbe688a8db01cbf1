"""Textile patterns: striped, dotted, checked, floral, leopard, zigzag and starred."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from PIL import Image, ImageDraw

from shopsight.demo.shop.pen import Colour, blend


class _Cloth(NamedTuple):
    draw: ImageDraw.ImageDraw
    size: tuple[int, int]
    ground: Colour
    figure: Colour
    rng: random.Random

    def grid(self, step: float, jitter: float = 0.0) -> Iterator[tuple[float, float]]:
        """Points ``step`` apart, every second row shifted by half, each moved at random."""
        for row in range(int(self.size[1] / step) + 2):
            for column in range(int(self.size[0] / step) + 2):
                move = [self.rng.uniform(-jitter, jitter) for _ in range(2)] if jitter else (0, 0)
                yield (column + row % 2 / 2 + move[0]) * step, (row + move[1]) * step

    def spot(self, x: float, y: float, width: float, height: float, fill: Colour) -> None:
        self.draw.ellipse([x - width, y - height, x + width, y + height], fill=fill)


def cloth(
    pattern: str, size: tuple[int, int], ground: Colour, figure: Colour, rng: random.Random
) -> Image.Image | None:
    """Render a pattern of `PATTERNS` in pixels; None for ``plain``.

    Titles and queries mention the ``ground`` colour; ``figure`` is that of the pattern.
    """
    if pattern == "plain":
        return None
    image = Image.new("RGB", size, ground)
    PATTERNS[pattern](_Cloth(ImageDraw.Draw(image), size, ground, figure, rng))
    return image


def _striped(c: _Cloth) -> None:
    step = c.size[0] * c.rng.uniform(0.055, 0.1)
    upright = c.rng.random() < 0.3
    for i in range(-1, int(max(c.size) / step) + 1):
        offset, width = i * step, int(step * 0.45)
        ends = [(offset, 0), (offset, c.size[1])] if upright else [(0, offset), (c.size[0], offset)]
        c.draw.line(ends, fill=c.figure, width=width)


def _dotted(c: _Cloth) -> None:
    step = c.size[0] * c.rng.uniform(0.065, 0.1)
    radius = step * c.rng.uniform(0.2, 0.28)
    for x, y in c.grid(step):
        c.spot(x, y, radius, radius, c.figure)


def _checked(c: _Cloth) -> None:
    step = c.size[0] * c.rng.uniform(0.09, 0.14)
    half, width = blend(c.ground, c.figure, 0.5), int(step / 2)
    lines = [i * step for i in range(int(max(c.size) / step) + 2)]
    for y in lines:
        c.draw.line([(0, y), (c.size[0], y)], fill=half, width=width)
    for x in lines:
        c.draw.line([(x, 0), (x, c.size[1])], fill=half, width=width)
    r = width / 2
    for x in lines:
        for y in lines:
            c.draw.rectangle([x - r, y - r, x + r, y + r], fill=c.figure)


def _floral(c: _Cloth) -> None:
    step = c.size[0] * c.rng.uniform(0.11, 0.15)
    leaf = blend(blend(c.ground, (60, 120, 60), 0.75), c.figure, 0.1)
    heart = (250, 205, 70) if c.figure != (250, 205, 70) else (120, 60, 30)
    petal = step * 0.17
    for x, y in c.grid(step, 0.18):
        turn = c.rng.random() * 6.3
        for side in (2.2, 4.4):
            u, v = _turned(x, y, turn + side, step * 0.36)
            c.spot(u, v, petal, petal / 2, leaf)
        for k in range(5):
            c.spot(*_turned(x, y, turn + k * 1.257, petal * 1.15), petal, petal, c.figure)
        c.spot(x, y, petal * 0.7, petal * 0.7, heart)


def _leopard(c: _Cloth) -> None:
    step = c.size[0] * c.rng.uniform(0.075, 0.1)
    inner = blend(c.ground, c.figure, 0.3)
    for x, y in c.grid(step, 0.2):
        r, flat = step * c.rng.uniform(0.26, 0.4), c.rng.uniform(0.7, 1.0)
        start = c.rng.randrange(360)
        c.spot(x, y, r, r * flat, inner)
        for first, last in ((0, 150), (190, 310)):
            c.draw.arc([x - r, y - r * flat, x + r, y + r * flat], start + first, start + last,
                       fill=c.figure, width=int(r * 0.6))  # fmt: skip


def _zigzag(c: _Cloth) -> None:
    step = c.size[0] * c.rng.uniform(0.07, 0.1)
    count = int(c.size[0] / step) + 2
    for row in range(-1, int(c.size[1] / step / 1.5) + 2):
        y = row * step * 1.5
        way = [(i * step, y + (step * 0.7 if i % 2 else 0)) for i in range(count)]
        c.draw.line(way, fill=c.figure, width=int(step * 0.5))


def _starred(c: _Cloth) -> None:
    step = c.size[0] * c.rng.uniform(0.1, 0.13)
    for x, y in c.grid(step):
        turn = c.rng.random() * 1.26
        radii = [step * (0.36 if k % 2 else 0.15) for k in range(10)]
        points = [_turned(x, y, turn + k * 0.628, radius) for k, radius in enumerate(radii)]
        c.draw.polygon(points, fill=c.figure)


def _turned(x: float, y: float, angle: float, radius: float) -> tuple[float, float]:
    return x + math.cos(angle) * radius, y + math.sin(angle) * radius


_PAINTERS = (_striped, _dotted, _checked, _floral, _leopard, _zigzag, _starred)
PATTERNS: dict[str, Callable[[_Cloth], None]] = {f.__name__[1:]: f for f in _PAINTERS}
