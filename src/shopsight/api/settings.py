"""Keyword arguments as settings objects: function arguments are named as command-line options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from shopsight.errors import unknown_name

Function = TypeVar("Function", bound=Callable[..., Any])


def takes(*kinds: type) -> Callable[[Function], Function]:
    """Declare the settings classes whose fields a function takes as further keyword arguments."""

    def declare(function: Function) -> Function:
        function.settings = kinds  # type: ignore[attr-defined]
        return function

    return declare


def settings_of(function: Callable[..., Any]) -> tuple[type, ...]:
    """The settings classes that `takes` declares for a function; none without it."""
    return getattr(function, "settings", ())


def build_settings(settings: Mapping[str, Any], *kinds: type) -> list[Any]:
    """Distribute keyword arguments over settings classes by field name.

    A single string for a tuple field becomes a tuple of one.

    Raises:
        UsageError: a name that is a field of none of the classes; a value out of range.

    >>> from shopsight.config import CompareConfig, EvaluateConfig
    >>> build_settings({"alpha": 0.01, "metrics": "map"}, CompareConfig, EvaluateConfig)[1].metrics
    ('map',)
    """
    known = {field.name for kind in kinds for field in fields(kind)}
    for name in settings:
        if name not in known:
            raise unknown_name("setting", name, sorted(known))
    return [
        kind(
            **{
                field.name: _value(settings[field.name], field.default)
                for field in fields(kind)
                if field.name in settings
            }
        )
        for kind in kinds
    ]


def _value(value: Any, default: Any) -> Any:
    if not isinstance(default, tuple):
        return value
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
