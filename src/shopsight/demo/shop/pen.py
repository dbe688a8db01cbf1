"""Product drawing: shapes in a unit square, filled with a pattern or a colour, and shaded."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Point = tuple[float, float]
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]  # left, top, right, bottom
_Stroke = Callable[[ImageDraw.ImageDraw, Colour | int], None]

FINE = 2  # supersampling factor for antialiased edges
_SMOOTHING = 3  # rounds of corner cutting


class Pen:
    """Canvas for a product inside a frame of the photo.

    Coordinates are relative to the frame: (0, 0) is its top left corner, (1, 1) its bottom right.
    A fill is a colour or a key of ``fills``; ``main`` includes the product's pattern. ``cloth``
    has the supersampled size of the photo.
    """

    def __init__(
        self,
        size: tuple[int, int],
        frame: Box,
        fills: dict[str, Colour],
        cloth: Image.Image | None,
        rng: random.Random,
    ) -> None:
        self.rng, self.fills = rng, fills
        self._size = (size[0] * FINE, size[1] * FINE)
        self._frame = tuple(side * FINE for side in frame)
        self._cloth = cloth
        self._art = Image.new("RGB", self._size, fills["main"])
        self._mask = Image.new("L", self._size)
        self._draw, self._draw_mask = ImageDraw.Draw(self._art), ImageDraw.Draw(self._mask)

    @property
    def unit(self) -> float:
        """Supersampled pixels per hundredth of the frame's smaller side."""
        left, top, right, bottom = self._frame
        return min(right - left, bottom - top) / 100

    def colour(self, fill: str | Sequence[int]) -> Colour:
        """The colour of a fill."""
        red, green, blue = self.fills[fill] if isinstance(fill, str) else fill
        return red, green, blue

    def shape(
        self, points: Sequence[Point], fill: str | Colour = "main", smooth: bool = True
    ) -> None:
        """Draw a filled polygon, with rounded corners if ``smooth``."""
        outline = self._placed(_rounded(points) if smooth else points)
        self._fill(fill, lambda draw, ink: draw.polygon(outline, fill=ink))

    def sides(
        self, half: Sequence[Point], fill: str | Colour = "main", smooth: bool = True
    ) -> None:
        """Draw a mirrored polygon: ``half`` runs from top to bottom, x from the centre."""
        right = [(0.5 + x, y) for x, y in half]
        left = [(0.5 - x, y) for x, y in reversed(half)]
        self.shape(right + left, fill, smooth)

    def oval(self, box: Box, fill: str | Colour = "main") -> None:
        """Draw an ellipse in a box (left, top, right, bottom)."""
        corners = self._placed([box[:2], box[2:]])
        self._fill(fill, lambda draw, ink: draw.ellipse([*corners[0], *corners[1]], fill=ink))

    def block(self, box: Box, fill: str | Colour = "main", radius: float = 0) -> None:
        """Draw a rectangle (left, top, right, bottom) with rounded corners (radius in units)."""
        corners = [*self._placed([box[:2]])[0], *self._placed([box[2:]])[0]]
        rounded = radius * self.unit
        self._fill(fill, lambda draw, ink: draw.rounded_rectangle(corners, rounded, fill=ink))

    def line(self, points: Sequence[Point], width: float, fill: str | Colour = "trim") -> None:
        """Draw a polyline; width in units."""
        path = self._placed(points)
        thick = max(1, round_up(width * self.unit))
        self._fill(fill, lambda draw, ink: draw.line(path, fill=ink, width=thick, joint="curve"))

    def arc(
        self,
        box: Box,
        start: float,
        end: float,
        width: float,
        fill: str | Colour = "trim",
    ) -> None:
        """Draw an elliptical arc, in degrees clockwise from the right."""
        corners = self._placed([box[:2], box[2:]])
        thick = max(1, round_up(width * self.unit))
        ends = [*corners[0], *corners[1]]
        self._fill(fill, lambda draw, ink: draw.arc(ends, start, end, fill=ink, width=thick))

    def hole(self, points: Sequence[Point], smooth: bool = True) -> None:
        """Cut out a shape, so that the background is visible."""
        self._draw_mask.polygon(self._placed(_rounded(points) if smooth else points), fill=0)

    def seam(self, points: Sequence[Point], width: float = 0.8) -> None:
        """Draw a darker line on the product."""
        self._draw.line(self._placed(points), fill=self.fills["deep"],
                        width=max(1, round_up(width * self.unit)))  # fmt: skip

    def onto(
        self, background: Image.Image, centred: bool = False, shadow: float = 0.35
    ) -> Image.Image:
        """Composite the shaded product and its shadow onto ``background``, in place.

        ``centred`` centres the drawing vertically in the frame; ``shadow`` is an opacity.
        """
        shift = round(-self._off_middle()) if centred else 0
        art, mask = self._art.reduce(FINE), self._mask.reduce(FINE)
        soft = mask.filter(ImageFilter.BoxBlur(max(2, background.width // 40)))
        light = soft.point(_LIGHT)  # dark towards the edges: things look round
        art = ImageChops.multiply(art, Image.merge("RGB", (light, light, light)))
        drop = max(2, background.height // 45)
        cast = soft.point([int(v * shadow) for v in range(256)])
        background.paste((30, 26, 34), (drop // 2, drop + shift), cast)
        background.paste(art, (0, shift), mask)
        return background

    def _off_middle(self) -> float:
        """Vertical offset of the drawing from the frame's centre, in photo pixels."""
        _, top, _, bottom = self._frame
        _, first, _, last = self._mask.getbbox() or (0, top, 0, bottom)
        return (first + last - top - bottom) / 2 / FINE

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        left, top, right, bottom = self._frame
        return [(left + x * (right - left), top + y * (bottom - top)) for x, y in points]

    def _fill(self, fill: str | Colour, drawn: _Stroke) -> None:
        ink = self.colour(fill)
        drawn(self._draw_mask, 255)
        if fill == "main" and self._cloth is not None:
            area = Image.new("L", self._size)
            drawn(ImageDraw.Draw(area), 255)
            self._art.paste(self._cloth, (0, 0), area)
        else:
            drawn(self._draw, ink)


_LIGHT = [min(255, 150 + int(105 * (max(v - 100, 0) / 155) ** 0.7)) for v in range(256)]


def round_up(value: float) -> int:
    """Ceiling as an int.

    >>> round_up(1.2)
    2
    """
    return -int(-value // 1)


def blend(start: Colour, end: Colour, weight: float) -> Colour:
    """Interpolate linearly between two colours.

    >>> blend((0, 0, 0), (200, 100, 50), 0.5)
    (100, 50, 25)
    """
    a, b, c = (int(x + (y - x) * weight) for x, y in zip(start, end, strict=True))
    return a, b, c


def _rounded(points: Sequence[Point]) -> list[Point]:
    """Smooth closed outline by corner cutting (Chaikin, 1974)."""
    outline = list(points)
    for _ in range(_SMOOTHING):
        cut: list[Point] = []
        for (x, y), (u, v) in zip(outline, [*outline[1:], outline[0]], strict=True):
            cut += [(0.8 * x + 0.2 * u, 0.8 * y + 0.2 * v), (0.2 * x + 0.8 * u, 0.2 * y + 0.8 * v)]
        outline = cut
    return outline
