"""Drawings of garments, some on a person, whose cut varies continuously."""

from __future__ import annotations

from shopsight.demo.shop.pen import Pen


def _person(pen: Pen, legs: bool = True, bare_arms: bool = True) -> None:
    """Draw a person under the garment."""
    pen.oval((0.38, -0.2, 0.62, 0.0), "hair")
    if pen.rng.random() < 0.5:
        pen.block((0.38, -0.12, 0.62, 0.1), "hair", 6)
    pen.block((0.455, -0.04, 0.545, 0.09), "skin", 4)
    pen.oval((0.415, -0.17, 0.585, 0.02), "skin")
    if bare_arms:
        for side in (-1, 1):
            pen.line([(0.5 + side * 0.12, 0.06), (0.5 + side * 0.22, 0.08),
                      (0.5 + side * 0.29, 0.4), (0.5 + side * 0.25, 0.68)], 7, "skin")  # fmt: skip
    if legs:
        for side in (-1, 1):
            pen.line([(0.5 + side * 0.1, 0.6), (0.5 + side * 0.11, 1.16)], 10, "skin")


def _neck(pen: Pen, kind: str, width: float = 0.11, top: float = 0.02) -> None:
    """Draw the neckline; on a person, skin is visible."""
    deep = {"v": 0.16, "round": 0.08, "boat": 0.04}[kind]
    worn = pen.fills.get("worn") is not None
    wide = width * (1.5 if kind == "boat" else 1)
    bend = () if kind == "v" else (0.8 * wide, top + 0.3 * deep)
    edge = [(wide, top - 0.05), *([bend] if bend else [])]
    right, left = [(0.5 + x, y) for x, y in edge], [(0.5 - x, y) for x, y in edge]
    points = [left[0], *right, (0.5, top + deep), *left[:0:-1]]
    if worn:
        pen.shape(points, "skin", smooth=kind != "v")
    else:
        pen.hole(points, smooth=kind != "v")
    pen.seam([*points[2:], points[0]][: 4 if kind != "v" else 2], 1)


def _sleeves(pen: Pen, length: str, wide: float = 0.12) -> None:
    if length == "none":
        return
    end = {"short": (0.43, 0.3), "long": (0.42, 0.76)}[length]
    for side in (-1, 1):
        middle = (0.5 + side * end[0], end[1])
        shoulder, arm = (0.5 + side * 0.24, 0.04), (0.5 + side * 0.2, 0.27)
        pen.shape(
            [shoulder, (0.5 + side * 0.33, 0.1), (middle[0] + side * wide * 0.45, middle[1] - 0.02),
             (middle[0] - side * wide * 0.55, middle[1] + 0.04), arm],
            smooth=False,
        )  # fmt: skip
        pen.seam([shoulder, (0.5 + side * 0.235, 0.15), arm], 0.9)


def top(pen: Pen, style: str) -> None:
    """A T-shirt or a tank top: long, short or without sleeves."""
    if pen.fills.get("worn"):
        _person(pen, legs=False)
        pen.sides([(0.2, 0.7), (0.21, 1.2)], "jeans", smooth=False)
    length = {"long-sleeved": "long", "sleeveless": "none"}.get(style, "short")
    _sleeves(pen, length)
    shoulder = 0.2 if length == "none" else 0.26
    body = [(0.1, 0.0), (shoulder, 0.05), (0.215, 0.26), (0.2, 0.5), (0.225, 0.86), (0.0, 0.88)]
    pen.sides(body, smooth=False)
    _neck(pen, pen.rng.choice(("v", "round", "round")))
    pen.seam([(0.29, 0.82), (0.71, 0.82)], 0.7)


def shirt(pen: Pen, style: str) -> None:
    """A shirt or blouse with collar and buttons."""
    if pen.fills.get("worn"):
        _person(pen, legs=False)
        pen.sides([(0.2, 0.7), (0.21, 1.2)], "jeans", smooth=False)
    _sleeves(pen, "short" if style == "short-sleeved" else "long", 0.13)
    pen.sides([(0.09, 0.0), (0.26, 0.05), (0.22, 0.26), (0.23, 0.9), (0.12, 0.94), (0.0, 0.9)],
              smooth=False)  # fmt: skip
    pen.shape([(0.41, -0.02), (0.5, 0.02), (0.59, -0.02), (0.5, 0.15)], "deep", smooth=False)
    for side in (-1, 1):
        pen.shape([(0.5 + side * 0.11, -0.03), (0.5 + side * 0.02, 0.05), (0.5 + side * 0.1, 0.16),
                   (0.5 + side * 0.15, 0.05)], "pale", smooth=False)  # fmt: skip
    pen.seam([(0.5, 0.12), (0.5, 0.9)], 0.9)
    for i in range(5):
        pen.oval((0.51, 0.2 + i * 0.15, 0.535, 0.225 + i * 0.15), "sole")


def jacket(pen: Pen, style: str) -> None:
    """A jacket with a zip, or a long coat with buttons."""
    end = 1.02 if style == "long" else 0.82
    if pen.fills.get("worn"):
        _person(pen, legs=style == "long", bare_arms=False)
        if style != "long":
            pen.sides([(0.2, 0.7), (0.21, 1.2)], "jeans", smooth=False)
    _sleeves(pen, "long", 0.16)
    hem = (0.25 + (end - 0.8) * 0.25, end)
    pen.sides([(0.1, 0.0), (0.28, 0.05), (0.235, 0.3), hem, (0.0, end)], smooth=False)
    pen.shape([(0.4, -0.02), (0.6, -0.02), (0.5, 0.3)], "sole", smooth=False)
    for side in (-1, 1):
        pen.shape([(0.5 + side * 0.11, -0.03), (0.5 + side * 0.01, 0.32), (0.5 + side * 0.17, 0.2),
                   (0.5 + side * 0.14, 0.12), (0.5 + side * 0.2, 0.09)], "deep", False)  # fmt: skip
        pen.seam([(0.5 + side * 0.08, end - 0.22), (0.5 + side * 0.19, end - 0.25)], 1.4)
    pen.seam([(0.5, 0.3), (0.5, end)], 1.4)
    for i in range(3 if style == "long" else 0):
        pen.oval((0.52, 0.4 + i * 0.15, 0.56, 0.44 + i * 0.15), "dark")
    if style != "long":
        pen.line([(0.5, 0.3), (0.5, end - 0.01)], 1.3, "metal")


def dress(pen: Pen, style: str) -> None:
    """A dress, short or down to the ankles; sleeves and neck as it comes."""
    worn = pen.fills.get("worn")
    end = 1.02 if style == "long" else 0.72
    if worn:
        _person(pen)
    sleeves = pen.rng.choice(("none", "none", "short", "long"))
    _sleeves(pen, sleeves, 0.1)
    wide = pen.rng.uniform(0.22, 0.38)
    shoulder = 0.17 if sleeves == "none" else 0.25
    pen.sides([(0.1, 0.0), (shoulder, 0.04), (0.19, 0.2), (0.14, 0.36), (0.17, 0.44),
               (wide, end - 0.02), (0.0, end)], smooth=False)  # fmt: skip
    _neck(pen, pen.rng.choice(("v", "round", "boat")))
    pen.block((0.355, 0.35, 0.645, 0.395), pen.rng.choice(("deep", "trim")), 1)
    for share in (-0.5, 0.0, 0.5):
        pen.seam([(0.5 + share * 0.2, 0.45), (0.5 + share * wide * 1.3, end - 0.03)], 0.6)


def skirt(pen: Pen, style: str) -> None:
    """A skirt, short or long, its folds showing."""
    end = 1.0 if style == "long" else 0.72
    wide = pen.rng.uniform(0.34, 0.46) + (0.04 if style == "short" else 0)
    pen.sides([(0.2, 0.04), (0.24, 0.16), (wide, end - 0.03), (0.0, end)], smooth=False)
    pen.block((0.29, 0.0, 0.71, 0.09), "deep", 2)
    for share in (-0.75, -0.4, 0.0, 0.4, 0.75):
        pen.seam([(0.5 + share * 0.22, 0.1), (0.5 + share * wide, end - 0.02)], 0.7)


GARMENTS = {draw.__name__: draw for draw in (top, shirt, jacket, dress, skirt)}
