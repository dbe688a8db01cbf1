"""The errors a person can cause; the command line prints their sentence and exits with 2.

Anything else that is raised is a fault of the program and keeps its traceback.
"""

from __future__ import annotations

from pathlib import Path


class ShopsightError(Exception):
    """Something a person can mend; ``str(error)`` is one sentence that says what and where."""


class UsageError(ShopsightError):
    """The call itself is wrong: options that contradict each other, an unknown name."""


class OutputError(ShopsightError):
    """A result cannot be written: the place exists already, the disk is full, no permission."""


class DataError(ShopsightError):
    """A prepared folder is missing, incomplete, changed, or does not fit what is asked of it."""


class InputError(ShopsightError):
    """A file that was read is not what it should be.

    Args:
        reason: what is wrong, in words, without a full stop.
        path: the file ("-" for standard input).
        line: the line, counted from 1, where there is one.
        row: the row, counted from 1, of a file without lines.
        column: the column's name or its number from 1, where there is one.
    """

    def __init__(
        self,
        reason: str,
        *,
        path: str | Path,
        line: int | None = None,
        row: int | None = None,
        column: str | int | None = None,
    ) -> None:
        self.reason, self.path, self.line, self.column = reason, str(path), line, column
        self.row = row
        place = self.path
        if line is not None:
            place += f", line {line}"
        if row is not None:
            place += f", row {row}"
        if column is not None:
            place += f", column {column}"
        super().__init__(f"{place}: {reason}")


def unknown_name(what: str, name: str, known: list[str]) -> UsageError:
    """The error for a name that is not among ``known``, with the nearest right one.

    >>> print(unknown_name("metric", "ndgc", ["mrr", "ndcg"]))
    unknown metric 'ndgc'; did you mean 'ndcg'? (known: mrr, ndcg)
    >>> print(unknown_name("metric", "bogus", ["mrr", "ndcg"]))
    unknown metric 'bogus' (known: mrr, ndcg)
    """
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return UsageError(f"unknown {what} '{name}'{hint} (known: {', '.join(known)})")


def pluralise(number: int, noun: str, plural: str = "") -> str:
    """A number and what it counts, for a sentence.

    >>> pluralise(1, "column"), pluralise(2000, "query", "queries")
    ('1 column', '2,000 queries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
