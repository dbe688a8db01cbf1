"""What commands print: a JSON object, or tables and sentences."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, is_dataclass
from typing import Any

from shopsight.reports.tables import Grid, rich_table

# Where output goes to a file or a pipe, nothing should be folded to fit.
_NO_TERMINAL = 200


def print_json(result: Any) -> None:
    """Print one JSON value; dataclasses become objects, arrays become lists."""
    print(json.dumps(result, default=_plain, indent=2, ensure_ascii=False, allow_nan=False))


def print_grid(grid: Grid) -> None:
    """Print a table, and its note below."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _NO_TERMINAL
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:  # left to print: rich has its own way with closed pipes
        console.print(rich_table(grid))
        if grid.note:
            console.print(grid.note)
    print(captured.get())


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")
