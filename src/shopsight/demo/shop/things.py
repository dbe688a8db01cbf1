"""Drawings of bags, furniture, lamps, crockery and other household items."""

from __future__ import annotations

from shopsight.demo.shop.pen import Pen


def handbag(pen: Pen, style: str) -> None:
    """A handbag with a clasp, a tote, or a small bag on a chain."""
    if style == "small":
        pen.arc((0.12, -0.05, 0.88, 0.95), 190, 350, 2, "gold")
        pen.block((0.16, 0.45, 0.84, 0.92), "main", 8)
        pen.shape([(0.16, 0.45), (0.84, 0.45), (0.8, 0.68), (0.5, 0.74), (0.2, 0.68)], "deep")
        pen.oval((0.46, 0.68, 0.54, 0.76), "gold")
        return
    pen.arc((0.28, 0.0, 0.72, 0.7), 180, 360, 5, "deep")
    if style == "tote":
        pen.shape([(0.1, 0.32), (0.9, 0.32), (0.82, 0.98), (0.18, 0.98)], smooth=False)
        pen.block((0.1, 0.32, 0.9, 0.39), "deep", 1)
    else:
        pen.sides([(0.34, 0.32), (0.48, 0.92), (0.4, 0.98)], smooth=False)
        pen.shape([(0.16, 0.32), (0.84, 0.32), (0.88, 0.52), (0.12, 0.52)], "deep", smooth=False)
        pen.block((0.44, 0.47, 0.56, 0.58), "gold", 3)


def backpack(pen: Pen, style: str) -> None:
    """A backpack, with a lid or a zip."""
    pen.arc((0.38, -0.04, 0.62, 0.2), 180, 360, 4, "dark")
    for side in (-1, 1):
        pen.line([(0.5 + side * 0.3, 0.3), (0.5 + side * 0.43, 0.55), (0.5 + side * 0.36, 0.9)], 6,
                 "deep")  # fmt: skip
    pen.block((0.16, 0.06, 0.84, 0.97), "main", 22)
    pen.block((0.24, 0.55, 0.76, 0.9), "deep", 8)
    if style == "with flap":
        pen.shape([(0.15, 0.1), (0.85, 0.1), (0.86, 0.42), (0.5, 0.5), (0.14, 0.42)], "pale")
        for x in (0.32, 0.66):
            pen.block((x, 0.36, x + 0.045, 0.62), "wood", 1)
            pen.block((x - 0.008, 0.52, x + 0.053, 0.58), "gold", 1)
    else:
        pen.arc((0.22, 0.12, 0.78, 0.75), 180, 360, 1.6, "dark")
        pen.line([(0.28, 0.62), (0.72, 0.62)], 1.6, "metal")


def sofa(pen: Pen, style: str) -> None:
    """A sofa with two or three seats, or a corner sofa."""
    for x in (0.08, 0.86):
        pen.block((x, 0.84, x + 0.05, 0.98), "wood", 0)
    pen.block((0.07, 0.2, 0.93, 0.7), "deep", 8)
    seats = 3 if style == "three-seater" else 2
    wide = 0.78 / seats
    for i in range(seats):
        left = 0.11 + i * wide
        pen.block((left, 0.24, left + wide - 0.012, 0.6), "main", 6)
        pen.block((left, 0.55, left + wide - 0.012, 0.72), "pale", 5)
    pen.block((0.06, 0.7, 0.94, 0.87), "main", 4)
    pen.block((0.0, 0.42, 0.13, 0.88), "main", 9)
    pen.block((0.87, 0.42, 1.0, 0.88), "main", 9)
    if pen.rng.random() < 0.5:
        pen.shape([(0.2, 0.42), (0.34, 0.38), (0.37, 0.55), (0.23, 0.6)], "trim")


def chair(pen: Pen, style: str) -> None:
    """An armchair, a chair with four legs, or a stool."""
    if style == "upholstered":
        for x in (0.18, 0.76):
            pen.block((x, 0.82, x + 0.06, 1.0), "wood", 0)
        pen.block((0.14, 0.05, 0.86, 0.75), "main", 16)
        pen.block((0.22, 0.52, 0.78, 0.7), "pale", 7)
        pen.block((0.1, 0.66, 0.9, 0.86), "main", 6)
        for left in (0.02, 0.8):
            pen.block((left, 0.4, left + 0.18, 0.86), "deep", 9)
        return
    seat = 0.34 if style == "stool" else 0.52
    for top, bottom in ((0.26, 0.16), (0.74, 0.84), (0.38, 0.34), (0.62, 0.66)):
        pen.line([(top, seat), (bottom, 1.0)], 5, "wood")
    pen.line([(0.22, 0.8), (0.78, 0.8)], 3, "wood")
    if style != "stool":
        for x in (0.25, 0.75):
            pen.line([(x, seat), (x, 0.02)], 5, "wood")
        pen.block((0.24, 0.04, 0.76, 0.34), "main", 8)
    pen.block((0.16, seat - 0.04, 0.84, seat + 0.07), "main", 6)


def lamp(pen: Pen, style: str) -> None:
    """A lamp for the table, the floor or the ceiling."""
    if style == "ceiling":
        pen.line([(0.5, -0.1), (0.5, 0.34)], 1.6, "dark")
        pen.oval((0.36, 0.68, 0.64, 0.88), "glow")
        pen.sides([(0.07, 0.3), (0.14, 0.36), (0.42, 0.74), (0.4, 0.8), (0.0, 0.8)])
        return
    floor = style == "floor"
    foot, shade = 0.97, 0.28 if floor else 0.48
    if floor:
        pen.line([(0.5, shade), (0.5, foot)], 2.6, "dark")
        pen.oval((0.3, 0.92, 0.7, 1.0), "dark")
    else:
        body = pen.rng.choice(("wood", "metal", "trim"))
        pen.sides([(0.05, 0.46), (0.05, 0.54), (0.17, 0.72), (0.13, 0.88), (0.0, 0.93)], body)
        pen.oval((0.32, 0.9, 0.68, 0.99), body)
    wide = 0.24 if floor else 0.36
    pen.oval((0.5 - wide, shade - 0.05, 0.5 + wide, shade + 0.05), "glow")
    pen.sides([(wide * 0.55, 0.02), (wide, shade), (0.0, shade + 0.03)], smooth=False)
    pen.seam([(0.5 - wide, shade), (0.5 + wide, shade)], 1.2)


def mug(pen: Pen, style: str) -> None:
    """A mug or a cup on a saucer."""
    if style == "with saucer":
        pen.oval((0.02, 0.76, 0.98, 0.98), "deep")
        pen.oval((0.02, 0.73, 0.98, 0.94), "pale")
        pen.arc((0.68, 0.34, 0.98, 0.66), 270, 450, 6, "main")
        pen.shape([(0.14, 0.3), (0.78, 0.3), (0.76, 0.56), (0.62, 0.84), (0.3, 0.84), (0.16, 0.56)])
    else:
        pen.arc((0.6, 0.28, 0.98, 0.76), 270, 450, 7, "main")
        pen.block((0.1, 0.16, 0.76, 0.94), "main", 9)
    top = 0.31 if style == "with saucer" else 0.17
    pen.oval((0.12, top - 0.07, 0.76, top + 0.07), "pale")
    pen.oval((0.16, top - 0.045, 0.72, top + 0.05), "coffee")


def vase(pen: Pen, style: str) -> None:
    """A vase, tall or round, perhaps with flowers in it."""
    if pen.rng.random() < 0.6:
        petals = pen.rng.choice(((228, 82, 96), (250, 196, 60), (236, 236, 240), (178, 120, 210)))
        for x, y in ((0.34, 0.12), (0.5, 0.0), (0.67, 0.1)):
            pen.line([(0.5, 0.42), (x, y + 0.06)], 1.6, (70, 130, 70))
            pen.oval((x - 0.09, y - 0.02, x + 0.09, y + 0.12), petals)
            pen.oval((x - 0.03, y + 0.02, x + 0.03, y + 0.08), (250, 220, 120))
    if style == "tall":
        pen.sides([(0.11, 0.34), (0.08, 0.44), (0.17, 0.72), (0.13, 0.98), (0.0, 0.98)])
        pen.oval((0.4, 0.34, 0.6, 0.4), "deep")
    else:
        pen.sides([(0.12, 0.4), (0.1, 0.48), (0.34, 0.72), (0.2, 0.98), (0.0, 0.98)])
        pen.oval((0.39, 0.4, 0.61, 0.46), "deep")


def cushion(pen: Pen, style: str) -> None:
    """A cushion, square or round."""
    if style == "round":
        pen.oval((0.04, 0.08, 0.96, 0.94))
        pen.oval((0.46, 0.46, 0.54, 0.54), "deep")
        return
    pen.shape([(0.0, 0.08), (0.5, 0.13), (1.0, 0.08), (0.95, 0.5), (1.0, 0.94), (0.5, 0.89),
               (0.0, 0.94), (0.05, 0.5)])  # fmt: skip
    pen.seam([(0.08, 0.14), (0.5, 0.17), (0.92, 0.14)], 0.8)
    pen.seam([(0.08, 0.88), (0.5, 0.85), (0.92, 0.88)], 0.8)


def clock(pen: Pen, style: str) -> None:
    """A clock for the wall, round or square."""
    if style == "square":
        pen.block((0.06, 0.06, 0.94, 0.94), "main", 6)
        pen.block((0.15, 0.15, 0.85, 0.85), "face", 3)
    else:
        pen.oval((0.04, 0.04, 0.96, 0.96))
        pen.oval((0.13, 0.13, 0.87, 0.87), "face")
    for x, y in ((0.5, 0.2), (0.8, 0.5), (0.5, 0.8), (0.2, 0.5)):
        pen.oval((x - 0.025, y - 0.025, x + 0.025, y + 0.025), "dark")
    pen.line([(0.5, 0.5), (0.5, 0.27)], 3, "dark")
    pen.line([(0.5, 0.5), (0.67, 0.6)], 3, "dark")


_ALL = (handbag, backpack, sofa, chair, lamp, mug, vase, cushion, clock)
THINGS = {draw.__name__: draw for draw in _ALL}
