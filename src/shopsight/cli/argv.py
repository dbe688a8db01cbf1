"""Command lines before they are parsed: the end of options, subcommands, arguments as text."""

from __future__ import annotations

import os
from collections.abc import Sequence

END_OF_OPTIONS = "--"


def options_of(argv: Sequence[str]) -> list[str]:
    """The words before "--", which ends the options (POSIX)."""
    words = list(argv)
    return words[: words.index(END_OF_OPTIONS)] if END_OF_OPTIONS in words else words


def split_command(argv: list[str]) -> tuple[str, list[str]]:
    """A subcommand and its arguments, which are all positional if "--" comes first.

    >>> split_command(["--", "remove", "INDEX", "-1"])
    ('remove', ['--', 'INDEX', '-1'])
    """
    if argv[0] == END_OF_OPTIONS and len(argv) > 1:
        return argv[1], [END_OF_OPTIONS, *argv[2:]]
    return argv[0], argv[1:]


def as_text(argument: str) -> str:
    r"""An argument as the text that was typed, in a locale that is not that of the terminal too.

    Python decodes arguments by the locale and keeps bytes that do not fit as lone surrogates.

    >>> as_text("\udcc3\udca9t\udcc3\udca9")
    'été'
    """
    is_escaped = any("\udc80" <= character <= "\udcff" for character in argument)
    return os.fsencode(argument).decode("utf-8", "replace") if is_escaped else argument
