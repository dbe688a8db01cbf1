"""Textile patterns: striped, dotted, checked, floral, leopard, zigzag and starred."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw

from shopsight.demo.shop.pen import Colour, blend

_Size = tuple[int, int]


def cloth(
    pattern: str, size: _Size, ground: Colour, figure: Colour, rng: random.Random
) -> Image.Image | None:
    """Render a pattern; None for ``plain``.

    Args:
        pattern: a key of `PATTERNS`, or ``plain``.
        size: width and height in pixels.
        ground: base colour, which titles and queries mention.
        figure: colour of the pattern.
        rng: source of sizes and positions.
    """
    if pattern == "plain":
        return None
    image = Image.new("RGB", size, ground)
    PATTERNS[pattern](ImageDraw.Draw(image), size, ground, figure, rng)
    return image


def _striped(
    draw: ImageDraw.ImageDraw, size: _Size, _: Colour, figure: Colour, rng: random.Random
) -> None:
    step = size[0] * rng.uniform(0.055, 0.1)
    upright = rng.random() < 0.3
    for i in range(-1, int(max(size) / step) + 1):
        offset, width = i * step, int(step * 0.45)
        ends = [(offset, 0), (offset, size[1])] if upright else [(0, offset), (size[0], offset)]
        draw.line(ends, fill=figure, width=width)


def _dotted(
    draw: ImageDraw.ImageDraw, size: _Size, _: Colour, figure: Colour, rng: random.Random
) -> None:
    step = size[0] * rng.uniform(0.065, 0.1)
    radius = step * rng.uniform(0.2, 0.28)
    for row in range(int(size[1] / step) + 2):
        for column in range(int(size[0] / step) + 2):
            x, y = (column + row % 2 / 2) * step, row * step
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=figure)


def _checked(
    draw: ImageDraw.ImageDraw, size: _Size, ground: Colour, figure: Colour, rng: random.Random
) -> None:
    step = size[0] * rng.uniform(0.09, 0.14)
    half, width = blend(ground, figure, 0.5), int(step / 2)
    count = int(max(size) / step) + 2
    for i in range(count):
        draw.line([(0, i * step), (size[0], i * step)], fill=half, width=width)
    for i in range(count):
        draw.line([(i * step, 0), (i * step, size[1])], fill=half, width=width)
    for i in range(count):
        for j in range(count):
            x, y, r = i * step, j * step, width / 2
            draw.rectangle([x - r, y - r, x + r, y + r], fill=figure)


def _floral(
    draw: ImageDraw.ImageDraw, size: _Size, ground: Colour, figure: Colour, rng: random.Random
) -> None:
    step = size[0] * rng.uniform(0.11, 0.15)
    leaf = blend(blend(ground, (60, 120, 60), 0.75), figure, 0.1)
    heart = (250, 205, 70) if figure != (250, 205, 70) else (120, 60, 30)
    for row in range(int(size[1] / step) + 2):
        for column in range(int(size[0] / step) + 2):
            x = (column + row % 2 / 2 + rng.uniform(-0.18, 0.18)) * step
            y = (row + rng.uniform(-0.18, 0.18)) * step
            turn, petal = rng.random() * 6.3, step * 0.17
            for side in (2.2, 4.4):
                u, v = (
                    x + math.cos(turn + side) * step * 0.36,
                    y + math.sin(turn + side) * step * 0.36,
                )
                draw.ellipse([u - petal, v - petal / 2, u + petal, v + petal / 2], fill=leaf)
            for k in range(5):
                u = x + math.cos(turn + k * 1.257) * petal * 1.15
                v = y + math.sin(turn + k * 1.257) * petal * 1.15
                draw.ellipse([u - petal, v - petal, u + petal, v + petal], fill=figure)
            draw.ellipse([x - petal * 0.7, y - petal * 0.7, x + petal * 0.7, y + petal * 0.7],
                         fill=heart)  # fmt: skip


def _leopard(
    draw: ImageDraw.ImageDraw, size: _Size, ground: Colour, figure: Colour, rng: random.Random
) -> None:
    step = size[0] * rng.uniform(0.075, 0.1)
    inner = blend(ground, figure, 0.3)
    for row in range(int(size[1] / step) + 2):
        for column in range(int(size[0] / step) + 2):
            x = (column + row % 2 / 2 + rng.uniform(-0.2, 0.2)) * step
            y = (row + rng.uniform(-0.2, 0.2)) * step
            r, flat = step * rng.uniform(0.26, 0.4), rng.uniform(0.7, 1.0)
            box = [x - r, y - r * flat, x + r, y + r * flat]
            start = rng.randrange(360)
            draw.ellipse(box, fill=inner)
            draw.arc(box, start, start + 150, fill=figure, width=int(r * 0.6))
            draw.arc(box, start + 190, start + 310, fill=figure, width=int(r * 0.6))


def _zigzag(
    draw: ImageDraw.ImageDraw, size: _Size, _: Colour, figure: Colour, rng: random.Random
) -> None:
    step = size[0] * rng.uniform(0.07, 0.1)
    count = int(size[0] / step) + 2
    for row in range(-1, int(size[1] / step / 1.5) + 2):
        y = row * step * 1.5
        way = [(i * step, y + (step * 0.7 if i % 2 else 0)) for i in range(count)]
        draw.line(way, fill=figure, width=int(step * 0.5))


def _starred(
    draw: ImageDraw.ImageDraw, size: _Size, _: Colour, figure: Colour, rng: random.Random
) -> None:
    step = size[0] * rng.uniform(0.1, 0.13)
    for row in range(int(size[1] / step) + 2):
        for column in range(int(size[0] / step) + 2):
            x, y = (column + row % 2 / 2) * step, row * step
            turn = rng.random() * 1.26
            points = [
                (
                    x + math.cos(turn + k * 0.628) * step * (0.36 if k % 2 else 0.15),
                    y + math.sin(turn + k * 0.628) * step * (0.36 if k % 2 else 0.15),
                )
                for k in range(10)
            ]
            draw.polygon(points, fill=figure)


_Painter = Callable[[ImageDraw.ImageDraw, _Size, Colour, Colour, random.Random], None]
PATTERNS: dict[str, _Painter] = {
    "striped": _striped,
    "dotted": _dotted,
    "checked": _checked,
    "floral": _floral,
    "leopard": _leopard,
    "zigzag": _zigzag,
    "starred": _starred,
}
