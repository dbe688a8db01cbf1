"""Range checks that all settings classes share."""

from __future__ import annotations

import math
from typing import NamedTuple

from shopsight.errors import UsageError


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included, and the words that describe them."""

    low: float
    high: float
    expected: str


# One representable number inside an open bound stands for the bound itself, so that one closed
# comparison checks every range.
POSITIVE = Range(math.nextafter(0, 1), math.inf, "above 0")
PROBABILITY = Range(0, math.nextafter(1, 0), "from 0 to below 1")


def check_ranges(config: object, **ranges: float | tuple[float, float] | Range) -> None:
    """Raise UsageError unless every named setting is a finite number in its range.

    Args:
        config: a settings object.
        ranges: by setting, the lowest value, the lowest and the highest, or a `Range`.

    >>> from types import SimpleNamespace
    >>> check_ranges(SimpleNamespace(folds=5, dropout=0.1), folds=7, dropout=PROBABILITY)
    Traceback (most recent call last):
    shopsight.errors.UsageError: folds must be at least 7, not 5
    """
    for name, bounds in ranges.items():
        value = getattr(config, name)
        if isinstance(bounds, Range):
            low, high, expected = bounds
        elif isinstance(bounds, tuple):
            low, high = bounds
            expected = f"from {low} to {high}"
        else:
            low, high, expected = bounds, math.inf, f"at least {bounds}"
        if value == math.inf:
            expected = "a finite number"
        # Written so that NaN, which compares false with everything, fails too.
        if not (math.isfinite(value) and low <= value <= high):
            raise UsageError(f"{name} must be {expected}, not {value}")


def indivisible(width: int, heads: int, key: str) -> UsageError:
    """The error of attention heads that do not divide the feature width."""
    return UsageError(
        f"the data's feature width {width} cannot be divided among {key} = {heads};"
        " set another number"
    )
