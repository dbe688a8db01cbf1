"""Results as tables: plain grids of text, drawn by terminals, notebooks and reports."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from shopsight.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

_EXAMPLES = 3
_WIDTH = 200  # of text that does not go to a terminal: nothing should fold there


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Attributes:
        columns: the headings; all but the first are aligned to the right.
        rows: one cell per column.
        note: a line below the table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Tabular:
    """A result that draws itself as tables; subclasses define `grids`."""

    def grids(self) -> list[Grid]:
        """The tables to draw."""
        raise NotImplementedError

    def records(self) -> list[dict[str, Any]]:
        """The rows of the data frame, as ``{column: value}``; default: those of the first grid."""
        grid = self.grids()[0]
        return [dict(zip(grid.columns, row, strict=True)) for row in grid.rows]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-serialisable values."""
        return {name: plain(value) for name, value in vars(self).items() if name[0] != "_"}

    def to_dataframe(self) -> pd.DataFrame:
        """The result as a pandas data frame. Raises UsageError if pandas is not installed."""
        return pandas().DataFrame(self.records())

    def to_html(self) -> str:
        """The tables as HTML."""
        return "".join(map(html_table, self.grids()))

    def __str__(self) -> str:
        return "\n".join(map(text_table, self.grids()))

    def _repr_html_(self) -> str:
        return "".join(map(html_table, self.grids()))

    def formatted(self, format: str) -> str:
        """The result as text, markdown, latex, csv or html."""
        if format == "csv":
            return csv_table(self.records())
        if format == "html":
            return self.to_html()
        draw = {"text": text_table, "markdown": markdown_table, "latex": latex_table}[format]
        return "\n".join(map(draw, self.grids()))


def pandas() -> Any:
    """The pandas module. Raises UsageError if it is not installed."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise UsageError("data frames need pandas: pip install pandas") from error
    return pd


def plain(value: Any) -> Any:
    """Dataclasses, mappings, sequences and arrays as JSON-serialisable values.

    >>> plain({"a": (1, 2)})
    {'a': [1, 2]}
    """
    if value is None or isinstance(value, str | float | int):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        # Not asdict(), which copies every value before this function converts it.
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def rich_table(grid: Grid) -> Table:
    """The grid as a `rich` table."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, caption_justify="left")
    for column_idx, column in enumerate(grid.columns):
        table.add_column(column, justify="right" if column_idx else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*row)
    return table


def text_table(grid: Grid, width: int = _WIDTH) -> str:
    """The grid and its note as lines of text, at most ``width`` characters wide."""
    from rich.console import Console

    # Names and queries may hold [brackets]: they are text, never markup.
    text = io.StringIO()
    console = Console(file=text, width=width, markup=False, highlight=False, emoji=False)
    console.print(rich_table(grid))
    if grid.note:
        console.print(grid.note)
    return text.getvalue()


def markdown_table(grid: Grid) -> str:
    r"""The grid as a GitHub table, with its note below.

    >>> print(markdown_table(Grid(("run", "a|b"), (("x", "0.5"),))))
    | run | a\|b |
    | :-- | --: |
    | x | 0.5 |
    <BLANKLINE>
    """
    lines = [tuple(map(_markdown_cell, row)) for row in (grid.columns, *grid.rows)]
    lines.insert(1, (":--", *["--:"] * (len(grid.columns) - 1)))
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{table}\n{grid.note}\n" if grid.note else table


def _markdown_cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def latex_table(grid: Grid) -> str:
    r"""The grid as a LaTeX table with the rules of booktabs, and its note below.

    >>> print(latex_table(Grid(("run", "hit"), (("a_1", "5%"),))))
    \begin{tabular}{lr}
    \toprule
    run & hit \\
    \midrule
    a\_1 & 5\% \\
    \bottomrule
    \end{tabular}
    <BLANKLINE>
    """
    head, *rows = (
        " & ".join(map(_latex_text, row)) + " \\\\" for row in (grid.columns, *grid.rows)
    )
    columns = "l" + "r" * (len(grid.columns) - 1)
    lines = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", head, "\\midrule", *rows]
    lines += ["\\bottomrule", "\\end{tabular}", *([_latex_text(grid.note)] if grid.note else [])]
    return "\n".join(lines) + "\n"


_LATEX = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}
    | {character: f"\\{character}" for character in "&%$#_{}"}
)


def _latex_text(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)


def csv_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV under a header; lists become words separated by blanks."""
    text = io.StringIO()
    columns = dict.fromkeys(name for row in records for name in row)
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {n: " ".join(map(str, v)) if isinstance(v, list) else v for n, v in row.items()}
        for row in records
    )
    return text.getvalue()


def html_table(grid: Grid, images: Sequence[str] = ()) -> str:
    """The grid as an HTML table, with an image before each row if ``images`` has their URIs.

    >>> html_table(Grid(("a",), (("<b>",),)))
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    head = "".join(
        f"<th>{escape(column)}</th>" for column in ([""] if images else []) + [*grid.columns]
    )
    rows = []
    for i, row in enumerate(grid.rows):
        image = f'<td><img src="{escape(images[i])}" height="96"></td>' if images else ""
        rows.append(f"<tr>{image}{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>")
    note = f"<p>{escape(grid.note)}</p>" if grid.note else ""
    body = "".join(rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def photo_uri(jpeg: bytes) -> str:
    """A JPEG file as an address that a page can hold."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def abbreviated(names: Iterable[str]) -> str:
    """The number of names and the first few.

    >>> abbreviated(["a", "b", "c", "d"])
    '4 (a, b, c, ...)'
    """
    items: Sequence[str] = list(names)
    if not items:
        return "none"
    more = ", ..." if len(items) > _EXAMPLES else ""
    return f"{len(items):,} ({', '.join(items[:_EXAMPLES])}{more})"
