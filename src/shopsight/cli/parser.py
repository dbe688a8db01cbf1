"""Argument parser of all commands: general options, help layout and error messages."""

from __future__ import annotations

import argparse
import re
import textwrap
from typing import Any, NoReturn

import jsonargparse

from shopsight.errors import UsageError, unknown_name


class Parser(jsonargparse.ArgumentParser):  # type: ignore[misc,unused-ignore]
    """A command's parser; raises `UsageError` with a one-sentence message for invalid arguments.

    Args:
        command: the words after ``shopsight``, such as "evaluate".
        summary: one or two sentences.
        examples: command lines, without "shopsight".
    """

    def __init__(self, command: str, summary: str, examples: list[str]) -> None:
        lines = "\n".join(f"  shopsight {example}" for example in examples)
        super().__init__(
            prog=f"shopsight {command}",
            description=summary,
            epilog=f"examples:\n{lines}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        general = self.add_argument_group("general")
        general.add_argument("--quiet", action="store_true", help="no progress, no warnings")
        general.add_argument("--debug", action="store_true", help="show the traceback of an error")
        general.add_argument("--seed", type=int, default=0, help="random seed")

    def add_json(self) -> None:
        """Add ``--json``: for commands that print results."""
        self.add_argument("--json", action="store_true", help="print machine-readable output")

    def add_class_arguments(self, *args: Any, **kwargs: Any) -> list[str]:
        """Add a settings class's fields as options, spelt ``--on-error`` for ``on_error``."""
        added: list[str] = super().add_class_arguments(*args, **kwargs)
        for option, action in list(self._option_string_actions.items()):
            if "_" in option and action.dest in added:
                dashed = option.replace("_", "-")
                action.option_strings = [dashed]
                self._option_string_actions[dashed] = self._option_string_actions.pop(option)
        return added

    def format_help(self, *args: Any, **kwargs: Any) -> str:
        """The help text, ending in one line end."""
        return str(super().format_help(*args, **kwargs)).rstrip("\n") + "\n"

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise UsageError, with the closest option if one is unknown."""
        message = " ".join(message.split())
        unrecognised = _unrecognised(message)
        if unrecognised is not None:
            known = [option for option in self._option_string_actions if "_" not in option]
            raise unknown_name("option", unrecognised, sorted(known)) from ex
        plain = self._missing(message) or _wrong_value(message) or message
        raise UsageError(f"{plain} (see {self.prog} --help)") from ex

    def read(self, argv: list[str]) -> Any:
        """Parse a command's arguments. Raises UsageError for invalid ones."""
        args = self.parse_args(argv)
        if args.seed is not None and not 0 <= args.seed < _SEEDS:
            raise UsageError(f"--seed must be from 0 to {_SEEDS - 1}, not {args.seed}")
        return args

    def _missing(self, message: str) -> str:
        """The message for missing arguments, in the spelling of the command line; else empty."""
        _, separator, rest = message.partition("arguments are required: ")
        if not separator:
            return ""
        spelling = {
            action.dest: action.option_strings[0] if action.option_strings else action.metavar
            for action in self._actions
        }
        names = (str(spelling.get(dest) or dest) for dest in rest.split(", "))
        return f"these arguments are required: {', '.join(names)}"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return text
        return textwrap.fill(" ".join(text.split()), width, initial_indent=indent)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = (action.help or "").rstrip(".")
        if action.default in (None, False, argparse.SUPPRESS) or not action.option_strings:
            return text
        default = action.default
        if isinstance(default, list | tuple):
            default = " ".join(map(str, default))
        return f"{text} (default: {default})" if default != "" else text


def _unrecognised(message: str) -> str | None:
    """The first option of argparse's "unrecognized arguments" message; else None."""
    _, separator, rest = message.partition("nrecognized arguments:")
    words = [word for word in rest.split() if word.startswith("--")] if separator else []
    return words[0].split("=")[0] if words else None


_SEEDS = 2**32  # the range that all random number generators accept
_KINDS = {"int": "a whole number", "float": "a number"}
_WRONG_VALUE = re.compile(
    r'Parser key "(\w+)"(?: element \d+)?: Expected an? '
    r"(?:<class '(\w+)'>|typing\.Literal\[(.*)\])\. Got value: (.*)"
)


def _wrong_value(message: str) -> str:
    r"""The message for a value of the wrong type or outside the choices; else empty.

    >>> _wrong_value('Parser key "steps": Expected a <class \'int\'>. Got value: 1.5')
    "--steps must be a whole number, not '1.5'"
    >>> _wrong_value('Parser key "dtype": Expected a typing.Literal[\'a\', \'b\']. Got value: c')
    "--dtype must be a or b, not 'c'"
    >>> _wrong_value('Parser key "weights" element 2: Expected a <class \'float\'>. Got value: x')
    "--weights must be a number, not 'x'"
    """
    match = _WRONG_VALUE.search(message)
    if not match:
        return ""
    key, kind, choices, value = match.groups()
    expected = _KINDS.get(kind, kind) if kind else " or ".join(choices.replace("'", "").split(", "))
    return f"--{key.replace('_', '-')} must be {expected}, not '{value}'"
