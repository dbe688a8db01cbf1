"""User-correctable errors; the command line prints their message and exits with code 2.

Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from pathlib import Path


class ShopsightError(Exception):
    """User-correctable error; ``str(error)`` is a one-line message that names the cause."""


class UsageError(ShopsightError):
    """Invalid call: contradictory options, an unknown name, a value out of range."""


class OutputError(ShopsightError):
    """A result that cannot be written: existing output, full disk, missing permission."""


class DataError(ShopsightError):
    """A prepared folder, run folder or index that is missing, incomplete, changed or unsuitable."""


class InputError(ShopsightError):
    """An input file that cannot be read or has invalid content.

    Args:
        reason: the cause, without a full stop.
        path: the file ("-" for standard input).
        line: line number from 1, if any.
        row: row number from 1, for files without lines.
        column: column name or number from 1, if any.
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
        numbers = {"line": line, "row": row, "column": column}
        where = [f"{name} {number}" for name, number in numbers.items() if number is not None]
        super().__init__(f"{', '.join([self.path, *where])}: {reason}")


def unknown_name(kind: str, name: str, known: list[str]) -> UsageError:
    """The error for a name that is not among ``known``, with the closest match.

    >>> print(unknown_name("metric", "ndgc", ["mrr", "ndcg"]))
    unknown metric 'ndgc'; did you mean 'ndcg'? (known: mrr, ndcg)
    >>> print(unknown_name("metric", "bogus", ["mrr", "ndcg"]))
    unknown metric 'bogus' (known: mrr, ndcg)
    """
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return UsageError(f"unknown {kind} '{name}'{hint} (known: {', '.join(known)})")


def pluralise(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> pluralise(1, "column"), pluralise(2000, "query", "queries")
    ('1 column', '2,000 queries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
