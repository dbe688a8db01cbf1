"""Refusals that every settings class shares."""

from __future__ import annotations

import math
from typing import Any

from shopsight.errors import UsageError


def check_range(config: object, name: str, least: float, most: float = math.inf) -> None:
    """Refuse a setting that is no finite number in a range, spelt as its option is.

    >>> from types import SimpleNamespace
    >>> check_range(SimpleNamespace(folds=5), "folds", 7)
    Traceback (most recent call last):
    shopsight.errors.UsageError: --folds must be at least 7, not 5
    """
    value = getattr(config, name)
    if math.isfinite(value) and least <= value <= most:
        return
    wanted = f"at least {least}" if most == math.inf else f"from {least} to {most}"
    if value == math.inf:
        wanted = "a finite number"
    raise UsageError(f"--{name.replace('_', '-')} must be {wanted}, not {value}")


def at_least(config: Any, **least: float) -> None:
    """Refuse a setting below its least sensible value.

    Args:
        config: a settings dataclass.
        least: the least value by name of the setting.

    Raises:
        UsageError: naming the setting, the least value and the given one.
    """
    for name, low in least.items():
        if getattr(config, name) < low:
            raise UsageError(f"{name} must be at least {low:g}, not {getattr(config, name)}")


def shares(config: Any, *names: str) -> None:
    """Refuse settings that are not a share from 0 to, but without, 1.

    Raises:
        UsageError: naming the setting and its value.
    """
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            raise UsageError(f"{name} must be from 0 to below 1, not {getattr(config, name)}")
