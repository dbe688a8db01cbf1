"""Columns of a product table: which column holds what, and each row as a product.

Table content is untrusted data: ids, texts and paths are taken literally, nothing is executed, and
a path must lead to a file that opens as a photo. Relative paths start from the table's own folder;
absolute ones are allowed, since the table belongs to the user.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import math
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from shopsight.config import PhotoColumnsConfig
from shopsight.errors import InputError, UsageError, unknown_name
from shopsight.formats.cells import parse_list
from shopsight.formats.fields import match_column, normalised_name, parse_id, shortened
from shopsight.formats.images import PhotoError
from shopsight.formats.tables import Table, TableRow
from shopsight.text.markup import plain_text

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

Field = str | int | float | bool | list[str] | None


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

    def roles(self) -> dict[str, str]:
        """Contents of the columns that do not become fields, by name."""
        columns = {self.image: "photo", self.id: "product id", self.features: "region features"}
        columns |= {self.boxes: "region boxes", self.labels: "region labels"}
        return {name: role for name, role in columns.items() if name}

    def fields(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns that are kept as fields of the products."""
        used = {self.id, self.image, self.features, self.boxes, self.labels}
        return tuple(name for name in names if name not in used)


@dataclass(frozen=True)
class PhotoRow:
    """A product as described by its row.

    ``image`` is a path or bytes, None if the cell is empty, or why it can be neither; ``regions``
    are unchecked features, boxes and labels, None without such columns.
    """

    product_id: str
    image: bytes | Path | PhotoError | None
    text: str
    split: str
    queries: tuple[str, ...]
    fields: dict[str, Field]
    regions: tuple[Any, Any, Any] | None
    place: str = ""


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
    image = _configured(table, config.image, "--image")
    image = image or _by_common_name(table, "image", needed=not precomputed)
    # Imagefolders mostly have no other id than the name of the file.
    is_named = normalised_name(image) == "file_name"
    id_column = _configured(table, config.id, "--id")
    id_column = id_column or _by_common_name(table, "id", needed=not is_named) or image
    return PhotoColumns(
        id=id_column,
        image=image,
        text=text or tuple(filter(None, [found])),
        split=_configured(table, config.split_column, "--split-column"),
        queries=_configured(table, config.queries, "--queries"),
        features=_configured(table, config.features, "--features") if precomputed else "",
        boxes=_configured(table, config.boxes, "--boxes") if precomputed else "",
        labels=config.labels if precomputed and config.labels in table.names else "",
    )


def read_row(row: TableRow, table: Table, columns: PhotoColumns) -> PhotoRow:
    """A row as a product.

    Raises:
        InputError: an unreadable row, or an invalid id.
    """
    if row.fault:
        raise row.fault
    values = row.values
    try:
        own_id = product_id(values.get(columns.id), is_photo=columns.id == columns.image)
    except ValueError as error:
        raise row_error(str(error), row, table, columns.id) from error
    regions = None
    if columns.features:
        features, boxes = values.get(columns.features), values.get(columns.boxes)
        regions = (features, boxes, values.get(columns.labels))
    return PhotoRow(
        product_id=own_id,
        image=_image(values.get(columns.image), table.folder),
        text=" ".join(filter(None, (_as_text(values.get(name)) for name in columns.text))),
        split=_as_text(values.get(columns.split)) if columns.split else "",
        queries=_queries(values.get(columns.queries)) if columns.queries else (),
        fields={
            name: as_field(_as_text(value) if name in columns.text else value)
            for name in columns.fields(table.names)
            for value in [values.get(name)]
        },
        regions=regions,
        place=f"row {row.number}" if row.line is None else f"line {row.line}",
    )


def row_id(row: TableRow, columns: PhotoColumns) -> str | None:
    """The product id of a row; None if it has no valid one."""
    try:
        return product_id(row.values.get(columns.id), is_photo=columns.id == columns.image)
    except ValueError:
        return None


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
    """A value as JSON and the typing rule take it: stripped text, numbers, flags, lists of texts.

    Empty cells, and what a field cannot hold, become None.

    >>> as_field(Decimal("2.50")), as_field(" a "), as_field([1, 2]), as_field(float("nan"))
    (2.5, 'a', ['1', '2'], None)
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int):
        # Parquet has 64-bit integers; longer ones (barcodes) are kept as text.
        return value if abs(value) < 1 << 63 else str(value)
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list):
        items = [as_field(item) for item in value]
        return [str(item) for item in items if item is not None] or None
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return None


def _configured(table: Table, name: str, option: str) -> str:
    """The configured name, checked; empty if none is configured."""
    name = unicodedata.normalize("NFC", name) if name not in table.names else name
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


def product_id(value: Any, *, is_photo: bool = False) -> str:
    """The id in a cell, or the name of the photo in it. Raises ValueError for an invalid id."""
    if is_photo and isinstance(value, dict):
        value = value.get("path")
    if value is None:
        raise ValueError("empty product id")
    text = parse_id(value.strip() if isinstance(value, str) else value, "product id")
    if not text.isprintable():
        raise ValueError(f"product id {shortened(text)} has control characters")
    return text


def _image(value: Any, folder: Path) -> bytes | Path | PhotoError | None:
    """Bytes, a path, or either from ``{bytes, path}`` (Hugging Face); None if empty."""
    if isinstance(value, dict):
        content = value.get("bytes")
        if isinstance(content, str):
            try:
                content = base64.b64decode(content, validate=True)
            except (binascii.Error, ValueError):
                return PhotoError("no-photo", "the photo's bytes are not base64")
        value = content if content else value.get("path")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        reason = f"the photo is neither a path nor bytes but {shortened(value)}"
        return PhotoError("no-photo", reason)
    written = value.strip().removeprefix("file://")
    if "://" in written[:12]:
        reason = f"{shortened(written)} is a URL, and photos are read from files"
        return PhotoError("no-photo", f"{reason}: download them first")
    return _existing(folder, written)


def _existing(folder: Path, written: str) -> Path:
    """The file that a path means, else the literal path.

    Tables have paths with backslashes, ``%20``, and either Unicode spelling of accents.
    """
    spellings = [written, written.replace("\\", "/")]
    spellings += [unquote(spelling) for spelling in spellings]
    spellings += [unicodedata.normalize(form, s) for form in ("NFC", "NFD") for s in spellings]
    for spelling in dict.fromkeys(spellings):
        # Such as a name that is too long, which the reader of the photo explains.
        with suppress(OSError, ValueError):
            if (folder / spelling).exists():
                return folder / spelling
    return folder / written


def _as_text(value: Any) -> str:
    """Words of a cell: no markup, whole numbers without a decimal point."""
    if isinstance(value, str):
        value = parse_list(value) or plain_text(value)
    if isinstance(value, list):
        return " ".join(filter(None, map(_as_text, value)))
    if isinstance(value, float):
        # NaN marks an empty cell, and a column of integers with empty cells has floats.
        value = None if not math.isfinite(value) else int(value) if value.is_integer() else value
    return "" if value is None or isinstance(value, bool | dict | bytes) else str(value)


def _queries(value: Any) -> tuple[str, ...]:
    """The queries of a cell: a list, a list as text, or texts between vertical bars."""
    if isinstance(value, str):
        value = parse_list(value) or value.split("|")
    texts = map(_as_text, value if isinstance(value, list) else [value])
    return tuple(dict.fromkeys(text for text in (" ".join(text.split()) for text in texts) if text))
