"""Drawings of shoes, bags, furniture and household items, listed in ``drawings.yaml``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

import yaml

from shopsight.demo.shop.pen import Pen

Drawing = Callable[[Pen, str], None]
"""Draws a product in a style."""


def _draw(strokes: Sequence[dict[str, Any]], pen: Pen, style: str) -> None:
    for stroke in strokes:
        options = dict(stroke)
        styles = options.pop("of", style)
        if style not in ([styles] if isinstance(styles, str) else styles):
            continue
        if "chance" in options:
            if pen.rng.random() < options["chance"]:
                _draw(options["strokes"], pen, style)
        elif "pick" in options:
            colour = pen.rng.choice(options["from"])
            pen.fills[options["pick"]] = pen.colour(colour)
        else:
            (tool, shape), *details = options.items()
            getattr(pen, tool)(shape, **dict(details))


_LISTED = yaml.safe_load(files(__package__).joinpath("drawings.yaml").read_bytes())
DRAWINGS: dict[str, Drawing] = {name: partial(_draw, strokes) for name, strokes in _LISTED.items()}
