"""Nested settings objects from plain values: every key known, every value of its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from shopsight.errors import UsageError

Settings = TypeVar("Settings")
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def changed(base: Settings, values: Mapping[str, Any]) -> Settings:
    """Settings that differ from ``base`` in what ``values`` say.

    Args:
        base: a dataclass whose fields are plain values or dataclasses of the same sort.
        values: nested like the dataclasses.

    Raises:
        UsageError: an unknown key, with the nearest right one; a value of the wrong kind.
    """
    return _changed(base, values, "", list(keys(type(base))))


def keys(kind: type, prefix: str = "") -> Iterator[str]:
    """Every key of a settings class, written with dots."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        if is_dataclass(hints[field.name]):
            yield from keys(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def _changed(base: Settings, values: object, place: str, known: list[str]) -> Settings:
    if not isinstance(values, Mapping):
        raise UsageError(f"recipe key '{place.rstrip('.')}' holds further keys, not {values!r}")
    hints = get_type_hints(type(base))
    given: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in hints:
            raise _unknown(place + name, known)
        part = getattr(base, name)
        if is_dataclass(part) and not isinstance(part, type):
            given[name] = _changed(part, value, f"{place}{name}.", known)
        else:
            given[name] = _value(hints[name], value, place + name)
    return replace(base, **given)  # type: ignore[type-var]


def _value(wanted: Any, value: object, key: str) -> Any:
    origin, options = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        if value is None and NoneType in options:
            return None
        return _value(next(one for one in options if one is not NoneType), value, key)
    if origin is Literal:
        if value not in options:
            choices = " or ".join(map(str, options))
            raise UsageError(f"recipe key '{key}' must be {choices}, not {value!r}")
        return value
    if origin is tuple:
        parts = value if isinstance(value, list | tuple) else [value]
        return tuple(_value(options[0], part, key) for part in parts)
    return _plain(wanted, value, key)


def _plain(wanted: type, value: object, key: str) -> Any:
    if wanted is float and not isinstance(value, bool):
        try:
            return float(value)  # type: ignore[arg-type]  # YAML reads 1e-4 as a text
        except (TypeError, ValueError):
            pass
    elif isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
        return value
    raise UsageError(f"recipe key '{key}' must be {_KINDS[wanted]}, not {value!r}")


def _unknown(key: str, known: list[str]) -> UsageError:
    parent, _, last = key.rpartition(".")
    close = [one for one in known if one.rpartition(".")[2] == last]
    close = close or get_close_matches(key, known, n=1)
    inside = f"{parent}." if parent else ""
    beside = dict.fromkeys(
        one.removeprefix(inside).split(".")[0] for one in known if one.startswith(inside)
    )
    hint = f"; did you mean '{close[0]}'?" if close else ";"
    where = f"in {parent}" if parent else "at the top"
    return UsageError(f"unknown recipe key '{key}'{hint} (known {where}: {', '.join(beside)})")
