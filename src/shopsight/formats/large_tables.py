"""Large tables of query, product and value, parsed by pyarrow: several times faster than by us."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from shopsight.formats.fields import LARGEST_SCORE, parse_id
from shopsight.formats.layouts import Layout, clean_cell
from shopsight.types import AnyArray, FloatArray, IntArray

_ODD_BLANKS = ("\t", "  ", "\n ", " \n", " \r", *map(chr, (11, 12, 28, 29, 30, 31)))
_UNICODE_BLANKS = tuple(filter(str.isspace, map(chr, range(0x80, 0x3001))))
Columns = tuple[tuple[str, ...], IntArray, list[str], IntArray, FloatArray]


def parse_table(text: str, layout: Layout, header_lines: int) -> Columns | None:
    """Distinct queries and (N,) their numbers, the same of products, and (N,) finite values.

    None for whatever is not perfectly regular: the caller reads it line by line, and finds what is
    wrong.
    """
    import pyarrow as pa
    from pyarrow import csv

    separator = layout.separator or " "
    if layout.value is None or layout.text is not None or (separator in ",;" and '"' in text):
        return None
    blanks = _ODD_BLANKS if text.isascii() else _ODD_BLANKS + _UNICODE_BLANKS
    if layout.separator is None and any(blank in text for blank in blanks):
        text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    text_type, wanted = pa.dictionary(pa.int32(), pa.string()), [layout.query, layout.product]
    types = {str(i): text_type for i in wanted} | {str(layout.value): pa.float64()}
    names = list(map(str, range(layout.width)))
    try:
        table = csv.read_csv(
            pa.BufferReader(text.encode()),
            csv.ReadOptions(column_names=names, skip_rows=header_lines),
            csv.ParseOptions(delimiter=separator, quote_char=False, double_quote=False),
            csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[]),
        )
        (queries, query_idx), product = (_codes(table.column(str(i))) for i in wanted)
    # pyarrow's errors are ValueErrors, as is that of an invalid id.
    except ValueError:
        return None
    values: FloatArray = _numpy(table.column(str(layout.value)).chunks, np.float64)
    if not np.all(np.abs(values) <= LARGEST_SCORE):  # false for NaN too
        return None
    return tuple(queries), query_idx, *product, -values if layout.ranks else values


def _codes(column: Any) -> tuple[list[str], IntArray]:
    """The distinct ids of a column in order of appearance, and the number of each row."""
    chunks = column.unify_dictionaries().chunks
    numbers: dict[str, int] = {}
    # Blanks and quotes around ids are not part of them, so that two spellings may be one id.
    new = [
        numbers.setdefault(parse_id(clean_cell(value), "id"), len(numbers))
        for value in (chunks[0].dictionary.to_pylist() if chunks else ())
    ]
    return list(numbers), np.array(new, np.int64)[_numpy((c.indices for c in chunks), np.int32)]


def _numpy(chunks: Iterable[Any], dtype: DTypeLike) -> AnyArray:
    """The values of arrays without nulls; ``to_numpy`` of pyarrow would import pandas."""
    parts = [np.frombuffer(c.buffers()[1], dtype)[c.offset : c.offset + len(c)] for c in chunks]
    return np.concatenate([*parts, np.empty(0, dtype)])
