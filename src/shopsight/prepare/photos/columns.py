"""Columns of a product table: which column holds what, and each row as a product.

Table content is untrusted data: ids, texts and paths are taken literally, nothing is executed, and
a path must lead to a file that opens as a photo. Relative paths start from the table's own folder;
absolute ones are allowed, since the table belongs to the user.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from shopsight.config import PhotoColumnsConfig
from shopsight.errors import InputError, UsageError, unknown_name
from shopsight.formats.fields import match_column, parse_id, shortened
from shopsight.formats.tables import Table, TableRow

COMMON_NAMES = {
    "id": (
        *("product_id", "id", "sku", "item_id", "article_id", "asin", "productid", "itemid"),
        *("uniq_id", "handle", "code"),
    ),
    "image": (
        *("image", "photo", "img", "picture", "image_path", "photo_path", "file_name"),
        *("filename", "image_file", "path", "image_src", "file"),
    ),
    "text": (
        *("title", "product_title", "name", "product_name", "productdisplayname"),
        *("display_name", "text", "caption", "description"),
    ),
}
_SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testa"), "testA"),
    "testb": "testB",
}

Field = str | int | float | bool | None


@dataclass(frozen=True)
class PhotoColumns:
    """The resolved column names of a table; an empty name means that it has no such column."""

    id: str
    image: str
    text: tuple[str, ...]
    split: str
    queries: str
    features: str
    boxes: str
    labels: str

    def fields(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns that are kept as fields of the products."""
        used = {self.id, self.image, self.features, self.boxes, self.labels}
        return tuple(name for name in names if name not in used)


@dataclass(frozen=True)
class PhotoRow:
    """A product as described by its row.

    ``image`` is a path or bytes, None if the cell is empty; ``regions`` are unchecked features,
    boxes and labels, None without such columns.
    """

    product_id: str
    image: bytes | Path | None
    text: str
    split: str
    queries: tuple[str, ...]
    fields: dict[str, Field]
    regions: tuple[Any, Any, Any] | None


def find_columns(
    table: Table, config: PhotoColumnsConfig, *, precomputed: bool = False
) -> PhotoColumns:
    """Resolve the columns of a table: the configured names, else common names.

    With ``precomputed`` the rows hold features and boxes, and need no photo.

    Raises:
        UsageError: a configured column does not exist, or a needed one cannot be found.
    """
    text = tuple(_configured(table, name, "--text") for name in config.text)
    found = "" if text else _by_common_name(table, "text", needed=not config.queries)
    columns = PhotoColumns(
        id=_configured(table, config.id, "--id") or _by_common_name(table, "id"),
        image=_configured(table, config.image, "--image")
        or _by_common_name(table, "image", needed=not precomputed),
        text=text or tuple(filter(None, [found])),
        split=_configured(table, config.split_column, "--split-column"),
        queries=_configured(table, config.queries, "--queries"),
        features=_configured(table, config.features, "--features") if precomputed else "",
        boxes=_configured(table, config.boxes, "--boxes") if precomputed else "",
        labels=config.labels if precomputed and config.labels in table.names else "",
    )
    if columns.id == columns.image:
        raise UsageError(f"{table.path}: --id and --image both name column '{columns.id}'")
    return columns


def read_row(row: TableRow, table: Table, columns: PhotoColumns) -> PhotoRow:
    """A row as a product.

    Raises:
        InputError: an unreadable row, an invalid id, or a photo that is neither path nor bytes.
    """
    if row.fault:
        raise row.fault
    values = row.values
    try:
        product_id = _product_id(values.get(columns.id))
    except ValueError as error:
        raise row_error(str(error), row, table, columns.id) from error
    try:
        image = _image(values.get(columns.image), table.folder)
    except ValueError as error:
        reason = f"product '{product_id}': {error}"
        raise row_error(reason, row, table, columns.image) from error
    regions = None
    if columns.features:
        features, boxes = values.get(columns.features), values.get(columns.boxes)
        regions = (features, boxes, values.get(columns.labels))
    return PhotoRow(
        product_id=product_id,
        image=image,
        text=" ".join(filter(None, (_as_text(values.get(name)) for name in columns.text))),
        split=_as_text(values.get(columns.split)) if columns.split else "",
        queries=_queries(values.get(columns.queries)) if columns.queries else (),
        fields={name: as_field(values.get(name)) for name in columns.fields(table.names)},
        regions=regions,
    )


def row_error(reason: str, row: TableRow, table: Table, column: str) -> InputError:
    """An error that names the line (or the row, in files without lines) and the column."""
    position = {"line": row.line} if row.line is not None else {"row": row.number}
    return InputError(reason, path=table.path, column=column, **position)


def canonical_split(written: str) -> str:
    """The canonical name of a split.

    >>> [canonical_split(name) for name in ("validation", " Test ", "testA", "")]
    ['valid', 'testA', 'testA', '']
    """
    name = written.strip()
    return _SPLIT_ALIASES.get(name.lower(), name)


def as_field(value: Any) -> Field:
    """A value as a string, number or boolean; None for anything else and for empty strings.

    >>> as_field(Decimal("2.50")), as_field(""), as_field([1, 2]), as_field(float("nan"))
    (2.5, None, None, None)
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return value or None
    if isinstance(value, int):
        # Parquet has 64-bit integers; longer ones (barcodes) are kept as text.
        return value if abs(value) < 1 << 63 else str(value)
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return None


def _configured(table: Table, name: str, option: str) -> str:
    """The configured name, checked; empty if none is configured."""
    if name and name not in table.names:
        error = unknown_name(f"column of {option},", name, list(table.names))
        raise UsageError(f"{table.path}: {error}")
    return name


def _by_common_name(table: Table, kind: str, *, needed: bool = True) -> str:
    column = match_column(table.names, COMMON_NAMES[kind])
    if needed and not column:
        content = {"id": "product ids", "image": "photos"}.get(kind, kind)
        names = ", ".join(table.names)
        question = f"which column holds {content}? name it with --{kind}"
        raise UsageError(f"{table.path}: {question} ({names})")
    return column


def _product_id(value: Any) -> str:
    # A column of whole numbers with missing values is read as floats.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        raise ValueError("empty product id")
    text = parse_id(value, "product id")
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"product id {shortened(text)} has control characters or outer spaces")
    return text


def _image(value: Any, folder: Path) -> bytes | Path | None:
    """Bytes, a path, or either from ``{bytes, path}`` (Hugging Face); None if empty."""
    if isinstance(value, dict):
        content = value.get("bytes")
        if isinstance(content, str):
            try:
                content = base64.b64decode(content, validate=True)
            except (binascii.Error, ValueError) as error:
                raise ValueError("the photo's bytes are not base64") from error
        value = content if content else value.get("path")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"the photo is neither a path nor bytes but {shortened(value)}")
    if "://" in value[:12]:
        reason = f"{shortened(value)} is a URL, and photos are read from files"
        raise ValueError(f"{reason}: download them first")
    return folder / value


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_as_text(item) for item in value)
    # NaN, the only value unequal to itself, marks an empty cell.
    if isinstance(value, bool) or value is None or (isinstance(value, float) and value != value):
        return ""
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


def _queries(value: Any) -> tuple[str, ...]:
    queries = value if isinstance(value, list) else str(value or "").split("|")
    texts = (" ".join(str(query).split()) for query in queries if query is not None)
    return tuple(dict.fromkeys(text for text in texts if text))
