"""Fields of a delivery in the types of an index: each prepared table has guessed its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from shopsight.data.dataset import PreparedData
from shopsight.data.photo_store import FIELDS_WRITTEN, read_fields
from shopsight.errors import DataError, unknown_name
from shopsight.formats.column_types import Kind, arrow_array, read_as
from shopsight.formats.fields import shortened
from shopsight.search.errors import ChangeError

_NAMES = {"flag": "true or false", "number": "a number", "date": "a date"}


def conformed_fields(data: PreparedData, schema: pa.Schema) -> pa.Table | None:
    """The fields of prepared products with the column types of an index.

    Raises:
        DataError: a cell that is not of the index's type.
    """
    fields = data.fields
    if fields is None:
        return None
    written = read_fields(data.path, FIELDS_WRITTEN)
    for i, name in enumerate(fields.column_names):
        index_type = schema.field(name).type if name in schema.names else pa.null()
        own_type = fields.schema.field(name).type
        if pa.null() in (index_type, own_type) or _is_compatible(own_type, index_type):
            continue
        source = written if written is not None and name in written.column_names else fields
        column = _converted(
            str(data.path), data.products, name, source.column(name).to_pylist(), index_type
        )
        fields = fields.set_column(i, name, column)
    return fields


def changed_fields(
    table: pa.Table, product_ids: Sequence[str], changes: Mapping[str, Mapping[str, Any]]
) -> pa.Table:
    """The fields of products (n,), with new cells by product and field; None empties a cell.

    Raises:
        ChangeError: an unknown field, or a cell that is not of the field's type.
    """
    for name in dict.fromkeys(name for cells in changes.values() for name in cells):
        if name not in table.column_names:
            raise ChangeError(str(unknown_name("field", name[:100], list(table.column_names))))
        rows = [i for i, product in enumerate(product_ids) if name in changes[product]]
        products = [product_ids[i] for i in rows]
        cells = [changes[product][name] for product in products]
        index_type = table.schema.field(name).type
        try:
            changed = _converted("change", products, name, cells, index_type).to_pylist()
            column = table.column(name).to_pylist()
            for row, value in zip(rows, changed, strict=True):
                # Arrow would cut the fraction off.
                if pa.types.is_integer(index_type) and value is not None and value % 1:
                    raise ChangeError(f"{name} expects a whole number, got {value}")
                column[row] = value
            array = pa.array(column, index_type)
        except (DataError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ChangeError(str(error).partition("; correct the cell")[0]) from error
        table = table.set_column(table.column_names.index(name), name, array)
    return table


def _converted(
    source: str, products: Sequence[str], name: str, cells: list[Any], index_type: pa.DataType
) -> pa.Array:
    kind = _kind_of(index_type)
    cells = [cell.isoformat() if hasattr(cell, "isoformat") else cell for cell in cells]
    column = read_as(kind, cells)
    is_day, misfits = pa.types.is_date(index_type), set(column.misfits)
    for i, value in enumerate(column.values):
        # A column of days has no place for a time.
        has_time = is_day and isinstance(value, datetime)
        if has_time or i in misfits:
            what = "a day without a time" if has_time else _NAMES[kind]
            reason = column.reason or f"{shortened(cells[i])} is not {what}"
            raise DataError(
                f"{source}: {name} of product '{products[i]}': {reason}, unlike {name} in"
                " the index; correct the cell and prepare the table again"
            )
    return arrow_array(column, with_times=not is_day)


def _kind_of(arrow_type: pa.DataType) -> Kind:
    types = pa.types
    if types.is_boolean(arrow_type):
        return "flag"
    if any(test(arrow_type) for test in (types.is_integer, types.is_floating, types.is_decimal)):
        return "number"
    if types.is_date(arrow_type) or types.is_timestamp(arrow_type):
        return "date"
    return "list" if types.is_list(arrow_type) else "text"


def _is_compatible(own: pa.DataType, index: pa.DataType) -> bool:
    """Whether Arrow joins the two, such as integers and floats."""
    return own == index or _kind_of(own) == _kind_of(index) == "number"
