"""Recipes: short YAML files with the differences from the defaults in `shopsight.config`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from shopsight.config import Recipe
from shopsight.config.overrides import changed
from shopsight.errors import InputError, UsageError, unknown_name

__all__ = ["load_recipe", "recipe_names"]

_ENDING = ".yaml"


def recipe_names() -> list[str]:
    """Names of the built-in recipes."""
    names = (entry.name for entry in resources.files("shopsight.config.recipes").iterdir())
    return sorted(name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING))


def load_recipe(name_or_file: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """A recipe by name or from a file, with ``key=value`` changes applied last.

    Args:
        name_or_file: one of `recipe_names`, or the path of a YAML file.
        changes: such as ``word_match.margin=0.5``; keys are written with dots, values as YAML.

    Raises:
        UsageError: an unknown recipe, an unknown key or a value of the wrong type.
        InputError: a file that is not readable or not YAML.

    >>> load_recipe("tiny", ["seed=7"]).seed
    7
    """
    recipe = changed(Recipe(), _read(str(name_or_file)))
    for change in changes:
        recipe = changed(recipe, _change(change))
    return recipe


def _read(name_or_file: str) -> dict[str, Any]:
    path = Path(name_or_file)
    if path.suffix not in (_ENDING, ".yml"):
        if name_or_file not in recipe_names():
            raise unknown_name("recipe", name_or_file, recipe_names())
        source = resources.files("shopsight.config.recipes") / f"{name_or_file}{_ENDING}"
        return _parsed(source.read_text(encoding="utf-8"), name_or_file)
    try:
        return _parsed(path.read_text(encoding="utf-8"), name_or_file)
    except FileNotFoundError as error:
        raise InputError("no such recipe file", path=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot be read as a recipe", path=path) from error


def _parsed(text: str, path: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not YAML, {error.problem}", path=path, line=line) from error
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InputError("a recipe is made of keys and values", path=path)
    return dict(values)


def _change(change: str) -> dict[str, Any]:
    """``a.b=3`` as ``{"a": {"b": 3}}``."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set wants key=value, not '{change}'")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change}: the value is not YAML") from error
    for part in reversed(key.strip().replace("-", "_").split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested
