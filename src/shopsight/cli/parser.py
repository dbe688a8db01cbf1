"""One argument parser for every command: the same options, help layout and refusals."""

from __future__ import annotations

import argparse
import re
import textwrap
from typing import Any, NoReturn

import jsonargparse

from shopsight.errors import UsageError, unknown_name


class Parser(jsonargparse.ArgumentParser):  # type: ignore[misc,unused-ignore]
    """A command's parser; what it cannot parse is a `UsageError`, in one sentence.

    Args:
        command: the words after ``shopsight``, such as "evaluate".
        summary: what the command does, a sentence or two.
        examples: command lines to copy, without "shopsight".
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
        general.add_argument("--debug", action="store_true", help="show where an error was raised")
        general.add_argument("--seed", type=int, default=0, help="seed of everything random")

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
        """Refuse with the nearest right option where there is one."""
        message = " ".join(message.split())
        unrecognised = _unrecognised(message)
        if unrecognised is not None:
            known = [option for option in self._option_string_actions if "_" not in option]
            raise unknown_name("option", unrecognised, sorted(known)) from ex
        plain = self._missing(message) or _wrong_value(message) or message
        raise UsageError(f"{plain} (see {self.prog} --help)") from ex

    def read(self, arguments: list[str]) -> Any:
        """Parse ``arguments``; raises `UsageError` where they do not fit."""
        given = self.parse_args(arguments)
        if given.seed is not None and not 0 <= given.seed < _SEEDS:
            raise UsageError(f"--seed must be from 0 to {_SEEDS - 1}, not {given.seed}")
        return given

    def _missing(self, message: str) -> str:
        """The options and words that a call lacks, as a person writes them; else empty."""
        _, found, rest = message.partition("arguments are required: ")
        if not found:
            return ""
        written = {
            one.dest: one.option_strings[0] if one.option_strings else one.metavar
            for one in self._actions
        }
        names = (str(written.get(dest) or dest) for dest in rest.split(", "))
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
        words = action.default
        if isinstance(words, list | tuple):
            words = " ".join(map(str, words))
        return f"{text} (default: {words})" if words != "" else text


def _unrecognised(message: str) -> str | None:
    """The option in argparse's "unrecognized arguments", if that is what the message says."""
    _, found, rest = message.partition("nrecognized arguments:")
    words = [word for word in rest.split() if word.startswith("--")] if found else []
    return words[0].split("=")[0] if words else None


_SEEDS = 2**32  # what every generator of random numbers takes
_KINDS = {"int": "a whole number", "float": "a number"}
_WRONG_VALUE = re.compile(
    r'Parser key "(\w+)"(?: element \d+)?: Expected an? '
    r"(?:<class '(\w+)'>|typing\.Literal\[(.*)\])\. Got value: (.*)"
)


def _wrong_value(message: str) -> str:
    r"""A value of the wrong type or not among the choices, in plain words; else empty.

    >>> _wrong_value('Parser key "steps": Expected a <class \'int\'>. Got value: 1.5')
    "--steps must be a whole number, not '1.5'"
    >>> _wrong_value('Parser key "dtype": Expected a typing.Literal[\'a\', \'b\']. Got value: c')
    "--dtype must be a or b, not 'c'"
    >>> _wrong_value('Parser key "weights" element 2: Expected a <class \'float\'>. Got value: x')
    "--weights must be a number, not 'x'"
    """
    found = _WRONG_VALUE.search(message)
    if not found:
        return ""
    key, kind, choices, value = found.groups()
    wanted = _KINDS.get(kind, kind) if kind else " or ".join(choices.replace("'", "").split(", "))
    return f"--{key.replace('_', '-')} must be {wanted}, not '{value}'"
