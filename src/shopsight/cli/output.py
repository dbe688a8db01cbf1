"""Printing of results: a JSON value, or tables."""

from __future__ import annotations

import shutil
import sys
from typing import Any

from shopsight.cli.stdout import json_text
from shopsight.formats.outputs import check_output_file
from shopsight.formats.runs import run_format
from shopsight.tables import Grid, Tabular, plain, text_table

# Nothing should fold in a file or a pipe.
_NO_TERMINAL = 200


FORMATS = ("text", "markdown", "latex", "csv", "html")
RUN_OUTPUT = "output file; its extension selects the format: .json, .trec, .csv or .tsv (.gz)"


def check_run_output(path: str, *inputs: object) -> None:
    """Raise, before the work, if a run could not be written to ``path`` after it."""
    check_output_file(path, inputs)
    run_format(path)


def print_json(value: Any) -> None:
    """Print a JSON value; dataclasses become objects, arrays become lists."""
    print(json_text(value, default=_plain, indent=2, allow_nan=False))


def print_result(result: Tabular, *, as_json: bool = False, format: str = "text") -> None:
    """Print a result as JSON, as its tables, or in another format."""
    if as_json:
        print_json(result.to_dict())
        return
    if format != "text":
        print(result.formatted(format), end="")
        return
    for grid in result.grids():
        print_grid(grid)


def print_grid(grid: Grid) -> None:
    """Print a table with its note."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _NO_TERMINAL
    print(text_table(grid, width))


def _plain(value: Any) -> Any:
    result = plain(value)
    if result is value:
        raise TypeError(f"{type(value).__name__} is not JSON-serialisable")
    return result
