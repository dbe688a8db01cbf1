"""Changes to nested settings from plain values, with every key and type checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from shopsight.errors import UsageError

Settings = TypeVar("Settings")
_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def changed(base: Settings, values: Mapping[str, Any]) -> Settings:
    """Settings that differ from `base` in `values`.

    Args:
        base: a dataclass of plain values, dataclasses, and mappings of dataclasses.
        values: nested like `base`.

    Raises:
        UsageError: an unknown key, with the nearest known one, or a value of the wrong type.
    """
    result: Settings = _changed(base, values, "", list(keys(base)))
    return result


def keys(settings: object, prefix: str = "") -> Iterator[str]:
    """Every key of nested settings, written with dots."""
    for name, value in _parts(settings).items():
        if _is_nested(value):
            yield from keys(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def _parts(settings: Any) -> dict[str, Any]:
    if isinstance(settings, Mapping):
        return dict(settings)
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def _is_nested(value: object) -> bool:
    return is_dataclass(value) or isinstance(value, Mapping)


def _changed(base: Any, values: object, prefix: str, known: list[str]) -> Any:
    if not isinstance(values, Mapping):
        raise UsageError(f"recipe key '{prefix.rstrip('.')}' holds further keys, not {values!r}")
    parts, changes = _parts(base), {}
    for key, value in values.items():
        # Names of models in a mapping may have dashes, fields of a class have underscores.
        spelled = str(key).replace("-", "_")
        name = next((part for part in parts if part.replace("-", "_") == spelled), spelled)
        if name not in parts:
            raise _unknown_key(prefix + name, known)
        if _is_nested(parts[name]):
            changes[name] = _changed(parts[name], value, f"{prefix}{name}.", known)
        else:
            changes[name] = _value(get_type_hints(type(base))[name], value, prefix + name)
    return {**parts, **changes} if isinstance(base, Mapping) else replace(base, **changes)


def _value(expected: Any, value: object, key: str) -> Any:
    origin, options = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        if value is None and NoneType in options:
            return None
        return _value(next(kind for kind in options if kind is not NoneType), value, key)
    if origin is Literal:
        if value not in options:
            choices = " or ".join(map(str, options))
            raise UsageError(f"recipe key '{key}' must be {choices}, not {value!r}")
        return value
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_value(options[0], item, key) for item in items)
    return _plain(expected, value, key)


def _plain(expected: type, value: object, key: str) -> Any:
    # bool is a subclass of int in Python, but "epochs: true" is a mistake.
    if expected is float and not isinstance(value, bool):
        try:
            return float(value)  # type: ignore[arg-type]  # YAML 1.1 reads 1e-4 as a string
        except (TypeError, ValueError):
            pass
    elif isinstance(value, expected) and (expected is bool or not isinstance(value, bool)):
        return value
    raise UsageError(f"recipe key '{key}' must be {_TYPE_NAMES[expected]}, not {value!r}")


def _unknown_key(key: str, known: list[str]) -> UsageError:
    parent, _, last = key.rpartition(".")
    # The same key in another section is a likelier slip than a similar spelling.
    close = [other for other in known if other.rpartition(".")[2] == last]
    close = close or get_close_matches(key, known, n=1)
    inside = f"{parent}." if parent else ""
    siblings = dict.fromkeys(
        other.removeprefix(inside).split(".")[0] for other in known if other.startswith(inside)
    )
    hint = f"; did you mean '{close[0]}'?" if close else ";"
    where = f"in {parent}" if parent else "at the top"
    return UsageError(f"unknown recipe key '{key}'{hint} (known {where}: {', '.join(siblings)})")
