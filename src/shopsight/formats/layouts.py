"""Recognise where the lines of a ranking, of answers or of candidates hold what.

A layout is recognised by the structure of many lines (number and kind of columns), or by the names
of a header; never by one line, and never by the file name. What could mean two things is an error
that names both readings and the header that settles it.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shopsight.errors import InputError, pluralise
from shopsight.formats.fields import (
    KNOWN_NAMES,
    find_columns,
    is_number,
    is_whole,
    normalised_name,
)

Kind = Literal["run", "answers", "candidates"]
Cells = list[str]
SAMPLE = 1_000
"""Lines that are looked at before the file is read."""

EXPECTED = {
    "run": "a TREC run (6 columns, the second Q0), a table of query, product and score,"
    ' a submission, or JSON {"query": [["product", score], ...]}',
    "answers": 'JSON {"query": [product ids]}, TREC qrels (query 0 product grade), or a table of'
    " query, product and grade",
}
EXPECTED["candidates"] = f"a table of query and product, {EXPECTED['run']}"
_LISTED = re.compile(r"\s*([^\[]*?)[\s,;:\"]*(\[.*[\])])", re.DOTALL)
_ANSWER_WORDS = {"answer", "answers", "relevant", "positives", "labels", "gold", "qrels"}
_CONSTANT = ("0", "q0")  # the second column of TREC files


@dataclass(frozen=True)
class Layout:
    """Where a line holds what; columns count from 0.

    Attributes:
        style: "table", one product per line; "wide", the products of a query, best first; "lists",
            a query with a list of them, or of [score, product] pairs, in one cell.
        separator: of columns; None is any white space.
        width: number of columns; 0 if lines differ.
        value: column of the score or grade; None if there is none.
        text: column of the query's text, if any.
        header: whether the first line names the columns.
        ranks: whether values are ranks: 1 is best.
        tag: whether further columns are a tag, which may have blanks.
    """

    style: Literal["table", "wide", "lists"]
    separator: str | None
    width: int = 0
    query: int = 0
    product: int = 1
    value: int | None = None
    text: int | None = None
    header: bool = False
    ranks: bool = False
    tag: bool = False


def split_line(line: str, separator: str | None) -> Cells:
    """The cells of a line. A quote never opens a cell that continues in the next line.

    >>> split_line('1,"red, blue" , 2', ",")
    ['1', 'red, blue', '2']
    """
    if separator in (None, "\t"):
        return line.split(separator)
    cells = line.split(separator)
    if '"' in line and line.count('"') % 2 == 0:
        with suppress(csv.Error):
            cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return [cell.strip() for cell in cells]


def clean_cell(cell: str) -> str:
    """A cell without the blanks and quotes around it."""
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def split_list(line: str) -> tuple[str, str] | None:
    """Query and list of a line ``q,[[score, 'product'], ...]``; None for another line."""
    match = _LISTED.fullmatch(line.rstrip().removesuffix('"'))
    return (match[1].strip().strip('"'), match[2]) if match and match[1] else None


def recognise(lines: Sequence[tuple[int, str]], kind: Kind, path: str | Path) -> Layout:
    """The layout of a file by its first lines, at least one.

    Raises:
        InputError: an unknown or an ambiguous layout.
    """
    number, first = lines[0]
    present = [s for s in ("\t", ",", ";") if any(s in line for _, line in lines)]
    separators = [*present, None]
    for separator in separators:
        try:
            if layout := headed(split_line(first, separator), separator, kind, lines[1:]):
                return layout
        except ValueError as error:
            raise InputError(str(error), path=path, line=number) from error
    if _mostly(split_list(line) is not None for _, line in lines):
        return Layout("lists", None)
    tables = {s: [split_line(line, s) for _, line in lines] for s in separators}
    header = f"this looks like a header without names for query and product; {KNOWN_NAMES}"
    if any(_begins_with_names(rows) for rows in tables.values()):
        raise InputError(header, path=path, line=number)
    try:
        for recogniser in _RECOGNISERS[kind]:
            for separator, rows in tables.items():
                if layout := recogniser(rows, separator):
                    # In a column of values, a name is an error with its place.
                    if layout.value is None and _names_queries(rows):
                        raise InputError(header, path=path, line=number)
                    return layout
    except _AmbiguousError as error:
        raise InputError(str(error), path=path, line=number) from error
    widths = Counter(len(rows[0]) for rows in tables.values())
    reason = f"{pluralise(max(widths), 'column')}; expected {EXPECTED[kind]}"
    raise InputError(reason, path=path, line=number)


def headed(
    names: Cells, separator: str | None, kind: Kind, lines: Sequence[tuple[int, str]] = ()
) -> Layout | None:
    """The layout under a header; None if its names are not those of queries and products.

    A column of scores with a name of its own is recognised by its numbers in ``lines``.

    Raises:
        ValueError: no column, or several, could be the score.
    """
    columns = find_columns(names)
    if columns is None or columns.query_id is None:
        return None
    width, query = len(names), columns.query_id
    if columns.numbered:
        return Layout("wide", separator, width, query, header=True)
    rows = [split_line(line, separator) for _, line in lines]
    lists = [i for i in range(width) if i != query and _lists(rows, i, several=width == 2)]
    values = {*columns.scores, *columns.grades} - {*lists}
    if lists and not values and columns.product_id in (None, *lists):
        if kind == "run":
            reject_answers(names[lists[0]])
        return Layout("lists", separator, width, query, lists[0], header=True)
    if columns.product_id is None and len(names[query].strip()) > 1 < width:
        raise ValueError(f"the header names no product column; {KNOWN_NAMES}")
    if columns.product_id is None:
        return None
    product, text, rank = columns.product_id, columns.query_text, columns.rank
    others = set(range(width)) - {query, product, text, rank}
    numeric = [i for i in sorted(others) if _numeric(rows, i)]
    named = columns.grades if kind == "answers" and columns.grades else columns.scores
    if kind == "run":
        numeric = [i for i in numeric if i not in columns.grades]
    found = named or numeric
    if len(found) > 1 and kind != "candidates":
        both = " and ".join(repr(names[i].strip()) for i in found[:2])
        noun = "grade" if kind == "answers" else "score"
        raise ValueError(f"the columns {both} could both be the {noun}; name one of them {noun}")
    value = found[0] if found else rank if kind == "run" else None
    if value is None and kind == "run":
        if columns.grades:
            raise ValueError("the header names grades: this looks like answers, not a run")
        raise ValueError(f"the header names no score column; {KNOWN_NAMES}")
    if value is None and kind == "answers":
        # Candidates would all be relevant, without a word.
        reason = "the header names no grade column: candidates, or relevant products?"
        raise ValueError(f"{reason} Add a column grade, or leave out the header of the latter")
    return Layout(
        "table", separator, width, query, product, value, text, True, kind == "run" and not found
    )


def reject_answers(name: str) -> None:
    """Raise ValueError if a list of this name holds answers, which a run must not be."""
    if _ANSWER_WORDS & set(normalised_name(name).split("_")):
        raise ValueError(f"the column {name.strip()!r} looks like answers, not a run")


class _AmbiguousError(ValueError):
    """Lines that could mean two things, or belong to the other kind of file."""


def _mostly(flags: Iterable[bool]) -> bool:
    values = list(flags)
    return sum(values) * 2 >= len(values) > 0


def _numeric(rows: Sequence[Cells], column: int) -> bool:
    return _mostly([len(row) > column and is_number(row[column]) for row in rows])


def _lists(rows: Sequence[Cells], column: int, *, several: bool) -> bool:
    """Whether a column holds lists: in brackets, or several words without one."""
    cells = [row[column].strip() for row in rows if len(row) > column]
    words = several and any(len(split_words(cell)) > 1 for cell in cells)
    return words or _mostly(cell.lstrip('"').startswith("[") for cell in cells)


def split_words(cell: str) -> Cells:
    """Ids in one cell, separated by blanks, bars or semicolons."""
    return re.sub(r"[|;]", " ", cell).split()


def _begins_with_names(rows: Sequence[Cells]) -> bool:
    """Whether the first line, unlike the others, consists of names."""

    def names(cells: Cells) -> bool:
        return len(cells) > 2 and all(normalised_name(c).replace("_", "").isalpha() for c in cells)

    return names(rows[0]) and not (rows[1:] and _mostly(map(names, rows[1:])))


def _names_queries(rows: Sequence[Cells]) -> bool:
    """Whether only the first line begins with something else than a number."""
    numbers = [is_number(row[0]) for row in rows]
    return len(rows) > 2 and all(numbers[1:]) and not numbers[0]


def _fixed(rows: Sequence[Cells], width: int) -> Sequence[Cells]:
    """The lines of a width; none if most have another, or if they are one per query and differ."""
    fits = [row for row in rows if len(row) == width]
    differ = len(fits) < len(rows) and _queries_differ(rows)
    return [] if differ or len(fits) * 2 < len(rows) else fits


def _queries_differ(rows: Sequence[Cells]) -> bool:
    return len({row[0] for row in rows}) == len(rows)


def _trec_run(rows: Sequence[Cells], separator: str | None) -> Layout | None:
    """Query, Q0, product, rank, score, tag."""
    # Without a tag, or with blanks in it, only Q0 tells a run from a query with its products.
    fits = [
        row
        for row in rows
        if len(row) > 4 and row[1].lower() in _CONSTANT and is_whole(row[3])
        if len(row) == 6 or row[1].lower() == "q0"
    ]
    if not fits or len(fits) * 2 < len(rows):
        return None
    if all(row[1] == "0" for row in rows) and _queries_differ(rows) and all(map(_all_whole, rows)):
        reason = "six columns of numbers: a TREC run, or a query with five products"
        remedy = "write Q0 into the second column of a run, or the header query-id,product1,..."
        raise _AmbiguousError(f"{reason}; {remedy}")
    width = Counter(map(len, fits)).most_common(1)[0][0]
    return Layout("table", separator, width, 0, 2, 4, tag=True)


def _trec_qrels(rows: Sequence[Cells], separator: str | None) -> Layout | None:
    """Query, iteration (unused), product, grade."""
    fits = _fixed(rows, 4)
    if not fits:
        return None
    constant = {row[1].lower() for row in fits}
    if constant <= set(_CONSTANT) or (not _queries_differ(fits) and _numeric(fits, 3)):
        return Layout("table", separator, 4, 0, 2, 3)
    if _mostly([is_whole(row[3]) and abs(float(row[3])) < 100 for row in fits]):
        reason = "four columns: TREC qrels, or a query with three products"
        remedy = "write 0 into the second column of qrels, or the header query_id,product1,..."
        raise _AmbiguousError(f"{reason}; {remedy}")
    return None


def _scored(rows: Sequence[Cells], separator: str | None) -> Layout | None:
    """Query, product, score."""
    return _three(rows, separator, lambda products, values: len(values) < min(len(products), 2))


def _graded(rows: Sequence[Cells], separator: str | None) -> Layout | None:
    """Query, product, grade."""

    def are_grades(products: set[float], values: set[float]) -> bool:
        return values <= {*range(6)} and (len(values) == 1 or max(products) > 5)

    return _three(rows, separator, are_grades)


def _three(
    rows: Sequence[Cells],
    separator: str | None,
    are_values: Callable[[set[float], set[float]], bool],
) -> Layout | None:
    fits = _fixed(rows, 3)
    if not fits:
        return None
    table = Layout("table", separator, 3, 0, 1, 2)
    if not _queries_differ(fits):
        return table
    # With a line for each query, the third column may also be a second product.
    if len(fits) > 1 and (not _numeric(fits, 2) or any(_has_zeros(row[2]) for row in fits)):
        return None
    if all(is_whole(row[1]) and is_whole(row[2]) for row in fits):
        products, values = ({float(row[i]) for row in fits} for i in (1, 2))
        if not are_values(products, values):
            reason = "whole numbers in three columns: the third is a score, or a second product"
            remedy = "name the columns in a header line: query_id,product_id,score or ...,grade, or"
            raise _AmbiguousError(f"{reason}; {remedy} query_id,product1,product2")
    return table


def _two(rows: Sequence[Cells], separator: str | None) -> Layout | None:
    """Query, product."""
    return Layout("table", separator, 2) if _fixed(rows, 2) else None


def _wide(rows: Sequence[Cells], separator: str | None) -> Layout | None:
    """Query and its products, best first; every query on a line of its own."""
    widest = max(map(len, rows))
    if widest < 3 or not _queries_differ(rows):
        return None
    # Decimal numbers are scores, whatever this file is.
    columns = ([row[i] for row in rows if len(row) > i] for i in range(1, widest))
    decimals = any(_mostly(map(_is_decimal, column)) for column in columns)
    products = [[cell for cell in row[1:] if cell] for row in rows]
    repeated = _mostly(len(set(line)) < len(line) for line in products)
    return None if decimals or repeated else Layout("wide", separator)


def _not_a_run(rows: Sequence[Cells], _: str | None) -> Layout | None:
    fits = _fixed(rows, 4)
    if fits and _mostly(row[1].lower() in _CONSTANT and is_whole(row[3]) for row in fits):
        raise _AmbiguousError("4 columns; this looks like TREC qrels (answers), not a run")
    return None


def _not_answers(rows: Sequence[Cells], separator: str | None) -> Layout | None:
    if _trec_run(rows, separator):
        raise _AmbiguousError("6 columns; this looks like a TREC run, not answers")
    return None


def _all_whole(row: Cells) -> bool:
    return all(map(is_whole, row))


def _has_zeros(cell: str) -> bool:
    """Whether a whole number has leading zeros, as only ids have."""
    return len(cell) > 1 and cell[0] == "0" and cell.isdecimal()


def _is_decimal(cell: str) -> bool:
    return is_number(cell) and not is_whole(cell)


_Recogniser = Callable[[Sequence[Cells], str | None], Layout | None]
_RECOGNISERS: dict[Kind, tuple[_Recogniser, ...]] = {
    "run": (_trec_run, _not_a_run, _scored, _wide),
    "answers": (_not_answers, _trec_qrels, _graded, _two, _wide),
    "candidates": (_trec_run, _not_a_run, _scored, _two, _wide),
}
