"""Splitting the raw rows of the competition: columns, whole numbers and query text.

Nothing long is copied: the base64 columns stay views of the chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xxhash

from shopsight.errors import InputError

COLUMNS = (
    "product_id",
    "image_h",
    "image_w",
    "num_boxes",
    "boxes",
    "features",
    "class_labels",
    "query",
    "query_id",
)
#: The kinds of bad input, as they are counted in ``data.json``.
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


_DIGITS = 18


@dataclass(frozen=True)
class RowError:
    """A row that was refused.

    Attributes:
        kind: one of `KINDS`.
        line: number of the line, from 1.
        column: the column's name; empty where the row as a whole is wrong.
        reason: what is wrong.
    """

    kind: str
    line: int
    column: str
    reason: str

    def at(self, path: Path | str) -> InputError:
        """The same as an error that names its file."""
        return InputError(self.reason, path=path, line=self.line, column=self.column or None)


@dataclass(slots=True)
class Row:
    """A row that was split: numbers parsed, base64 columns still as they stand in the file.

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
    """The good rows, the refused ones, and the number of lines; lines count from 1."""
    rows: list[Row] = []
    errors: list[RowError] = []
    view = memoryview(data)
    number, start = 1, 0
    while start < len(data):
        end = data.find(b"\n", start)
        is_cut = end < 0
        if is_cut:
            end = len(data)
        stop = end - 1 if end > start and data[end - 1] == 13 else end  # a carriage return
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
    """Split ``data[start:end]``; the long base64 columns are not copied."""
    cuts = [start - 1]
    for _ in range(7):
        cuts.append(data.find(b"\t", cuts[-1] + 1, end))
        if cuts[-1] < 0:
            return _wrong_columns(data, start, end, line)
    last = data.rfind(b"\t", cuts[7] + 1, end)
    query, query_id = data[cuts[7] + 1 : max(last, 0)], data[last + 1 : end]
    if last < 0 or b"\t" in query.rstrip(b"\t"):
        return _wrong_columns(data, start, end, line)
    numbers = [data[cuts[i] + 1 : cuts[i + 1]] for i in range(4)]
    for column, text in zip((*COLUMNS[:4], "query_id"), (*numbers, query_id), strict=True):
        if not is_integer(text):
            return RowError("integer", line, column, _why_no_integer(text))
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
    boxes, features, labels = (view[cuts[i] + 1 : cuts[i + 1]] for i in (4, 5, 6))
    digest = xxhash.xxh3_64_intdigest(view[start : cuts[7]])
    return Row(
        line,
        product_id,
        height,
        width,
        regions,
        boxes,
        features,
        labels,
        query,
        int(query_id),
        digest,
    )


def _wrong_columns(data: bytes, start: int, end: int, line: int) -> RowError:
    if start == end:
        return RowError("columns", line, "", f"a blank line instead of {len(COLUMNS)} columns")
    found = data.count(b"\t", start, end) + 1
    what = "1 column" if found == 1 else f"{found} columns"
    return RowError("columns", line, "", f"{what} instead of {len(COLUMNS)}")


def is_integer(text: bytes) -> bool:
    """Whether the text is a non-negative integer, plainly written, that fits 64 bits."""
    return text.isdigit() and len(text) <= _DIGITS and (text[0] != 48 or text == b"0")


def _why_no_integer(text: bytes) -> str:
    shown = text[:40].decode(errors="replace")
    if text.isdigit():
        why = "leading zeros" if text[0] == 48 else f"more than {_DIGITS} digits"
        return f"an integer with {why}: '{shown}'"
    return f"not a non-negative integer: '{shown}'"
