"""Split raw competition rows into columns, integers and query text.

Nothing long is copied: the base64 columns stay views of the chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xxhash

from shopsight.errors import InputError

COLUMNS = (
    *("product_id", "image_h", "image_w", "num_boxes", "boxes"),
    *("features", "class_labels", "query", "query_id"),
)
KINDS = {
    "columns": "wrong column count",
    "integer": "non-integer id, size or count",
    "image-size": "image size 0, or beyond 2^31",
    "no-regions": "zero regions",
    "base64": "bad base64",
    "length": "byte length that does not fit num_boxes",
    "not-finite": "NaN or infinite features",
    "range": "features beyond the stored number format",
    "box": "box outside the image or with no area",
    "label": "label outside the label file",
    "utf8": "invalid UTF-8",
    "truncated": "truncated last line",
    "conflict": "same product id with different regions",
    "empty": "empty file",
    "header": "missing header",
}
"""Kinds of invalid input, as counted in ``data.json``."""
_DIGITS = 18  # of an integer that is certain to fit 64 bits


@dataclass(frozen=True)
class RowError:
    """An invalid row; ``column`` is empty if the row as a whole is invalid."""

    kind: str
    line: int
    column: str
    reason: str

    def at(self, path: Path | str) -> InputError:
        """The exception for a row of a file."""
        return InputError(self.reason, path=path, line=self.line, column=self.column or None)


@dataclass(slots=True)
class Row:
    """A split row: parsed integers, and base64 columns as they are in the file.

    ``digest`` is 64 bits of a hash (XXH3) of everything before the query.
    """

    line: int
    product_id: int
    height: int
    width: int
    regions: int
    boxes: memoryview
    features: memoryview
    labels: memoryview
    query: bytes
    query_id: int
    digest: int


def split_rows(data: bytes) -> tuple[list[Row], list[RowError], int]:
    """The valid rows, the errors of the others, and the number of lines (counted from 1)."""
    rows: list[Row] = []
    errors: list[RowError] = []
    view = memoryview(data)
    number, start = 1, 0
    while start < len(data):
        end = data.find(b"\n", start)
        is_cut = end < 0
        if is_cut:
            end = len(data)
        stop = end - 1 if end > start and data[end - 1] == 13 else end  # carriage return
        row = _split_row(data, view, start, stop, number)
        if isinstance(row, Row):
            rows.append(row)
        elif is_cut:
            reason = f"the last line is cut off: {row.reason}"
            errors.append(RowError("truncated", number, row.column, reason))
        else:
            errors.append(row)
        number, start = number + 1, end + 1
    return rows, errors, number - 1


def _split_row(data: bytes, view: memoryview, start: int, end: int, line: int) -> Row | RowError:
    """Split ``data[start:end]`` without copying the long base64 columns."""
    # bytes.split would copy a megabyte of base64 per row.
    tabs = [start - 1]
    for _ in range(7):
        tabs.append(data.find(b"\t", tabs[-1] + 1, end))
        if tabs[-1] < 0:
            return _wrong_columns(data, start, end, line)
    # The query id follows the last tab: some queries of the competition end with tabs.
    last = data.rfind(b"\t", tabs[7] + 1, end)
    query, query_id = data[tabs[7] + 1 : max(last, 0)], data[last + 1 : end]
    if last < 0 or b"\t" in query.rstrip(b"\t"):
        return _wrong_columns(data, start, end, line)
    numbers = [data[tabs[i] + 1 : tabs[i + 1]] for i in range(4)]
    for column, text in zip((*COLUMNS[:4], "query_id"), (*numbers, query_id), strict=True):
        if not is_integer(text):
            return RowError("integer", line, column, _integer_fault(text))
    product_id, height, width, regions = map(int, numbers)
    if not 0 < height < 1 << 31 or not 0 < width < 1 << 31:
        column = "image_w" if 0 < height < 1 << 31 else "image_h"
        return RowError("image-size", line, column, f"image size {height} x {width}")
    if not regions:
        return RowError("no-regions", line, "num_boxes", "the product has no regions")
    try:
        query.decode()
    except UnicodeDecodeError as error:
        reason = f"invalid UTF-8 (byte {error.start + 1} of the query)"
        return RowError("utf8", line, "query", reason)
    boxes, features, labels = (view[tabs[i] + 1 : tabs[i + 1]] for i in (4, 5, 6))
    digest = xxhash.xxh3_64_intdigest(view[start : tabs[7]])
    sizes = (product_id, height, width, regions)
    return Row(line, *sizes, boxes, features, labels, query, int(query_id), digest)


def _wrong_columns(data: bytes, start: int, end: int, line: int) -> RowError:
    if start == end:
        return RowError("columns", line, "", f"a blank line instead of {len(COLUMNS)} columns")
    count = data.count(b"\t", start, end) + 1
    columns = "1 column" if count == 1 else f"{count} columns"
    return RowError("columns", line, "", f"{columns} instead of {len(COLUMNS)}")


def is_integer(text: bytes) -> bool:
    """Whether the text is a non-negative integer without leading zeros that fits 64 bits."""
    # int() accepts signs, spaces and underscores, which are damage in these files.
    return text.isdigit() and len(text) <= _DIGITS and (text[0] != 48 or text == b"0")


def _integer_fault(text: bytes) -> str:
    shown = text[:40].decode(errors="replace")
    if text.isdigit():
        fault = "leading zeros" if text[0] == 48 else f"more than {_DIGITS} digits"
        return f"an integer with {fault}: '{shown}'"
    return f"not a non-negative integer: '{shown}'"
