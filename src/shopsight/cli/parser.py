"""Argument parser of all commands: arguments from the signatures and docstrings of functions."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import textwrap
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any, NoReturn, TypeVar

import docstring_parser
import jsonargparse

from shopsight.api.settings import settings_of
from shopsight.cli.argv import END_OF_OPTIONS
from shopsight.errors import UsageError, unknown_name
from shopsight.formats.content import STDIN

Result = TypeVar("Result")
# Help of parameters that docstrings leave to their type.
_TYPES = {
    "RunLike": "ranking: JSON, TREC, CSV, TSV or submission.csv, gzipped or not",
    "QrelsLike": "relevance judgements: JSON, TREC qrels or a table",
    "Data": "prepared folder",
}


class Parser(jsonargparse.ArgumentParser):  # type: ignore[misc,unused-ignore]
    """A command's parser; raises `UsageError` with a one-sentence message for invalid arguments.

    Args:
        command: the words after ``shopsight``, such as "evaluate".
        about: one or two sentences, or the function whose docstring begins with them.
        examples: command lines, without "shopsight".
        json: add ``--json``.
    """

    def __init__(
        self, command: str, about: str | Callable[..., Any], examples: list[str], json: bool = True
    ) -> None:
        lines = "\n".join(f"  shopsight {example}" for example in examples)
        super().__init__(
            prog=f"shopsight {command}",
            description=about if isinstance(about, str) else _summary(about),
            epilog=f"examples:\n{lines}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        general = self.add_argument_group("general")
        general.add_argument("--quiet", action="store_true", help="no progress, no warnings")
        general.add_argument("--debug", action="store_true", help="show the traceback of an error")
        general.add_argument("--seed", type=int, default=0, help="random seed")
        if json:
            self.add_argument("--json", action="store_true", help="print machine-readable output")

    def add_parameters(
        self,
        function: Callable[..., Any],
        *required: str,
        skip: Collection[str] = (),
        **metavars: str,
    ) -> None:
        """Add a function's parameters as arguments, and the settings it takes as options.

        Types and defaults come from the signature, help from the docstring: its text up to
        "; in Python", which introduces what only Python accepts.

        Args:
            function: a function, method or dataclass.
            required: parameters without a default that are options; the others are positional.
            skip: parameters that are not added.
            metavars: names of values in the help, by parameter.
        """
        texts = {item.arg_name: item.description or "" for item in _docstring(function).params}
        skip = {*skip, "self", "progress"}
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD or name in skip or self._has(name):
                continue
            options = _value_options(str(parameter.annotation))
            text = texts.get(name) or _TYPES.get(_element(str(parameter.annotation)), "")
            options["help"] = " ".join(text.partition("; in Python")[0].replace("``", "").split())
            if parameter.default is not parameter.empty:
                default = parameter.default
                options["default"] = list(default) if isinstance(default, tuple) else default
            elif name in required:
                options["required"] = True
            else:
                metavar = name.removesuffix("s" if "nargs" in options else "").upper()
                self.add_argument(name, metavar=metavars.get(name, metavar), **options)
                continue
            if name in metavars:
                options["metavar"] = metavars[name]
            self.add_argument(f"--{name.replace('_', '-')}", **options)
        for kind in settings_of(function):
            self.add_class_arguments(kind, None, skip=skip)

    def add_class_arguments(
        self, kind: type, key: str | None = None, skip: Collection[str] = ()
    ) -> list[str]:
        """Add a settings class's fields as options, spelt ``--on-error`` for ``on_error``."""
        names = {field.name for field in fields(kind)}
        skip = {name for name in names if name in skip or (key is None and self._has(name))}
        # jsonargparse wants lists as JSON; here they are words.
        lists = [f for f in fields(kind) if "tuple[" in str(f.type) and f.name not in skip]
        texts = {item.arg_name: item.description for item in _docstring(kind).params}
        skip |= {f.name for f in lists}
        if skip == names:  # another function takes these settings too
            return []
        added: list[str] = super().add_class_arguments(kind, key, skip=skip)
        for f in lists:
            options: dict[str, Any] = _value_options(str(f.type))
            default: Any = f.default
            options |= {"default": list(default), "help": " ".join(str(texts[f.name]).split())}
            name = f"{key}.{f.name}" if key else f.name.replace("_", "-")
            self.add_argument(f"--{name}", metavar=f.name[:-1].upper(), **options)
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
        args = self.parse_args(self._positionals_last(argv))
        if args.seed is not None and not 0 <= args.seed < _SEEDS:
            raise UsageError(f"--seed must be from 0 to {_SEEDS - 1}, not {args.seed}")
        values = (v for value in vars(args).values() for v in _as_list(value))
        if sum(isinstance(value, str) and value == STDIN for value in values) > 1:
            raise UsageError("standard input (-) can be read once; use a file for the other input")
        return args

    def _positionals_last(self, argv: list[str]) -> list[str]:
        """The options with their values, then "--" and all positional arguments.

        argparse assigns positional arguments group by group: in ``search INDEX -k 5 QUERY`` it
        takes QUERY as left out once it sees INDEX, and so it does after "--".
        """
        options: list[str] = []
        positionals: list[str] = []
        words = deque(argv)
        while words:
            word = words.popleft()
            if word == END_OF_OPTIONS:
                positionals += words
                break
            if not self._is_option(word):
                positionals.append(word)
                continue
            options.append(word)
            action = self._option_string_actions.get(word)
            nargs = 0 if action is None else 1 if action.nargs in (None, "?") else action.nargs
            most = nargs if isinstance(nargs, int) else len(words)
            while most and words and words[0] != END_OF_OPTIONS and not self._is_option(words[0]):
                options.append(words.popleft())
                most -= 1
        return [*options, END_OF_OPTIONS, *positionals] if positionals else options

    def _is_option(self, word: str) -> bool:
        """Whether a word is an option; "-", negative numbers and texts with blanks are not."""
        if word in self._option_string_actions:
            return True
        name = word.partition("=")[0]
        return word[:1] == "-" and len(word) > 1 and " " not in name and not _NUMBER.match(word)

    def _has(self, name: str) -> bool:
        return any(action.dest == name for action in self._actions)

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


def settings_from(args: Any, *kinds: type) -> dict[str, Any]:
    """The fields of settings classes as keyword arguments, from the options of the same names."""
    values = {field.name: args[field.name] for kind in kinds for field in fields(kind)}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def config_from(kind: type[Result], args: Any) -> Result:
    """A settings object from the options of the same names."""
    return kind(**settings_from(args, kind))


def call(function: Callable[..., Result], args: Any, **others: Any) -> Result:
    """Call a function with the arguments and settings of the same names, and with ``others``."""
    values = {name: args[name] for name in inspect.signature(function).parameters if name in args}
    return function(**settings_from(args, *settings_of(function)) | values | others)


def _docstring(function: Callable[..., Any]) -> docstring_parser.Docstring:
    style = docstring_parser.DocstringStyle.GOOGLE
    return docstring_parser.parse(inspect.getdoc(function) or "", style=style)


def _summary(function: Callable[..., Any]) -> str:
    parts = _docstring(function)
    return f"{parts.short_description} {parts.long_description or ''}".replace("``", "").strip()


def _value_options(annotation: str) -> dict[str, Any]:
    """The keywords of `add_argument` for a parameter's annotation, as it is written."""
    if annotation == "bool":
        return {"action": "store_true"}
    if annotation.startswith("Literal"):
        return {"choices": ast.literal_eval(annotation.removeprefix("Literal"))}
    many = annotation.startswith(("Sequence[", "tuple["))
    kind = annotation.partition("[")[2] if many else annotation
    number = next((number for number in (int, float) if kind.startswith(number.__name__)), str)
    return {"type": number, **({"nargs": "+"} if many else {})}


def _element(annotation: str) -> str:
    """The type of the elements of a sequence, and any other type itself; None is left out.

    >>> _element("Sequence[RunLike]"), _element("QrelsLike | None")
    ('RunLike', 'QrelsLike')
    """
    return annotation.removeprefix("Sequence[").partition("]")[0].removesuffix(" | None")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return text
        return textwrap.fill(" ".join(text.split()), width, initial_indent=indent)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = (action.help or "").rstrip(".")
        hidden = action.default in (None, argparse.SUPPRESS) or not action.option_strings
        if hidden or action.nargs == 0:  # a flag
            return text
        default = action.default
        if isinstance(default, list | tuple):
            default = " ".join(map(str, default))
        return f"{text} (default: {default})" if default != "" else text


def _unrecognised(message: str) -> str | None:
    """The first option of argparse's "unrecognized arguments" message; else None."""
    _, separator, rest = message.partition("nrecognized arguments:")
    words = [word for word in rest.split() if word.startswith("-")] if separator else []
    return words[0].split("=")[0] if words else None


_NUMBER = re.compile(r"-\.?\d")
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
