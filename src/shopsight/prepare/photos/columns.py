"""A table of products with photos: which column is what, and each row as a product.

What stands in the table is data: ids, texts and paths are taken as they are written, nothing is
executed, and a path leads to a file that is opened as a photo or refused. Paths start from the
table's own folder; absolute ones are taken too, since the table is the user's own.
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
from typing import Any, Protocol

from shopsight.errors import InputError, UsageError, unknown_name
from shopsight.formats.fields import match_column, parse_id, shortened
from shopsight.formats.tables import Table, TableRow

KNOWN = {
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
SPLITS = {
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "valid": "valid",
    "test": "testA",
    "testa": "testA",
    "testb": "testB",
    "training": "train",
    "train": "train",
}
"""Other names that splits go by."""

Field = str | int | float | bool | None


class ColumnNames(Protocol):
    """Columns as they were named, empty where they are to be found; see `PhotoColumnsConfig`."""

    @property
    def id(self) -> str:
        """Of product ids."""

    @property
    def image(self) -> str:
        """Of photos."""

    @property
    def text(self) -> tuple[str, ...]:
        """Of what describes products."""

    @property
    def split_column(self) -> str:
        """Of splits; none without a name."""

    @property
    def queries(self) -> str:
        """Of queries; none without a name."""

    @property
    def features(self) -> str:
        """Of ready-made features."""

    @property
    def boxes(self) -> str:
        """Of their boxes."""

    @property
    def labels(self) -> str:
        """Of their labels."""


@dataclass(frozen=True)
class PhotoColumns:
    """Which column of a table holds what; an empty name: none does."""

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
    """A product as its row says it is.

    Attributes:
        product_id: its id.
        image: its photo: bytes, or where it is; None where the row has none.
        text: what describes it.
        split: its split, as written; empty without one.
        queries: what shoppers found it with.
        fields: its other columns.
        regions: features, boxes and labels as they stand in the table; None without.
    """

    product_id: str
    image: bytes | Path | None
    text: str
    split: str
    queries: tuple[str, ...]
    fields: dict[str, Field]
    regions: tuple[Any, Any, Any] | None


def find_columns(table: Table, config: ColumnNames, *, precomputed: bool = False) -> PhotoColumns:
    """Which column is what: as named, else by what such columns are usually called.

    Args:
        table: the table.
        config: the names that were given.
        precomputed: its rows hold features and boxes.

    Raises:
        UsageError: a named column is not there, or none can be found.
    """
    columns = PhotoColumns(
        id=_named(table, config.id, "--id") or _found(table, "id", "--id"),
        image=_named(table, config.image, "--image")
        or _found(table, "image", "--image", needed=not precomputed),
        text=tuple(_named(table, one, "--text") for one in config.text) or _text(table, config),
        split=_named(table, config.split_column, "--split-column"),
        queries=_named(table, config.queries, "--queries"),
        features=_named(table, config.features, "--features") if precomputed else "",
        boxes=_named(table, config.boxes, "--boxes") if precomputed else "",
        labels=config.labels if precomputed and config.labels in table.names else "",
    )
    if columns.id == columns.image:
        raise UsageError(f"{table.path}: --id and --image both name column '{columns.id}'")
    return columns


def read_row(row: TableRow, table: Table, columns: PhotoColumns) -> PhotoRow:
    """A row as a product.

    Raises:
        InputError: the row cannot be read, has no usable id, or a photo that is neither path nor
            bytes.
    """
    if row.fault:
        raise row.fault
    values = row.values

    def refuse(column: str, reason: str) -> InputError:
        place = {"line": row.line} if row.line is not None else {"row": row.number}
        return InputError(reason, path=table.path, column=column, **place)

    try:
        product_id = _product_id(values.get(columns.id))
    except ValueError as error:
        raise refuse(columns.id, str(error)) from error
    try:
        image = _image(values.get(columns.image), table.folder)
    except ValueError as error:
        raise refuse(columns.image, f"product '{product_id}': {error}") from error
    return PhotoRow(
        product_id=product_id,
        image=image,
        text=" ".join(filter(None, (_as_text(values.get(name)) for name in columns.text))),
        split=_as_text(values.get(columns.split)) if columns.split else "",
        queries=_queries(values.get(columns.queries)) if columns.queries else (),
        fields={name: as_field(values.get(name)) for name in columns.fields(table.names)},
        regions=_regions(values, columns),
    )


def split_of(written: str) -> str:
    """A split's name as shopsight writes it.

    >>> split_of("validation"), split_of(" Test "), split_of("testA"), split_of("")
    ('valid', 'testA', 'testA', '')
    """
    name = written.strip()
    return SPLITS.get(name.lower(), name)


def as_field(value: Any) -> Field:
    """A value as a string, number or boolean; None for what is neither, or empty.

    >>> as_field(Decimal("2.50")), as_field(""), as_field([1, 2]), as_field(float("nan"))
    (2.5, None, None, None)
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return value or None
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else str(value)
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return None


def _named(table: Table, name: str, option: str) -> str:
    """The name as given, checked; empty if none was."""
    if name and name not in table.names:
        error = unknown_name(f"column of {option},", name, list(table.names))
        raise UsageError(f"{table.path}: {error}")
    return name


def _found(table: Table, what: str, option: str, *, needed: bool = True) -> str:
    found = match_column(table.names, KNOWN[what])
    if needed and not found:
        which = {"id": "product ids", "image": "photos"}.get(what, what)
        has = ", ".join(table.names)
        raise UsageError(f"{table.path}: which column holds {which}? name it with {option} ({has})")
    return found


def _text(table: Table, config: ColumnNames) -> tuple[str, ...]:
    found = _found(table, "text", "--text", needed=not config.queries)
    return (found,) if found else ()


def _product_id(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():  # a whole number, but for missing others
        value = int(value)
    if value is None:
        raise ValueError("empty product id")
    text = parse_id(value, "product id")
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"product id {shortened(text)} has control characters or outer spaces")
    return text


def _image(value: Any, folder: Path) -> bytes | Path | None:
    """Bytes, a path, or ``{bytes, path}`` with either; None where the cell is empty."""
    if isinstance(value, dict):
        inner = value.get("bytes")
        if isinstance(inner, str):
            inner = _from_base64(inner)
        value = inner if inner else value.get("path")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"the photo is neither a path nor bytes but {shortened(value)}")
    if "://" in value[:12]:
        reason = f"{shortened(value)} is an address, and photos are read from files"
        raise ValueError(f"{reason}: download them first")
    return folder / value


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the photo's bytes are not base64") from error


def _regions(values: dict[str, Any], columns: PhotoColumns) -> tuple[Any, Any, Any] | None:
    if not columns.features:
        return None
    return values.get(columns.features), values.get(columns.boxes), values.get(columns.labels)


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_as_text(one) for one in value)
    if isinstance(value, bool) or value is None or (isinstance(value, float) and value != value):
        return ""
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


def _queries(value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else str(value or "").split("|")
    texts = (" ".join(str(one).split()) for one in found if one is not None)
    return tuple(dict.fromkeys(text for text in texts if text))
