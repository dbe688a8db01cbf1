"""Raw files of the small world, written in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pybase64 import b64encode

from shopsight.demo.world.pools import Pool
from shopsight.demo.world.products import Features, Products
from shopsight.demo.world.queries import ANY, Query
from shopsight.demo.world.words import KINDS, LABELS, VALUES
from shopsight.formats.atomic import atomic_write
from shopsight.types import IntArray

HEADER = (
    b"product_id\timage_h\timage_w\tnum_boxes\tboxes\tfeatures\tclass_labels\tquery\tquery_id\n"
)
_BLOCK_BYTES = 1 << 20  # bytes of features generated at a time; fits into a core's cache


class RawRows(NamedTuple):
    """The N rows of a TSV file."""

    queries: Sequence[Query]  # the index is the query id
    query_idx: IntArray  # (N,) index into ``queries``
    product_idx: IntArray  # (N,)


def write_rows(path: Path, rows: RawRows, products: Products, features: Features) -> None:
    """Write a split's TSV file with header."""
    ends = [f"\t{query.text}\t{i}\n".encode() for i, query in enumerate(rows.queries)]
    length = np.diff(products.offsets)[rows.product_idx]
    block = (np.cumsum(length) * features.width * 4) // _BLOCK_BYTES
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "wb") as file:
        file.write(HEADER)
        for start, stop in zip(starts, [*starts[1:], len(block)], strict=True):
            block_products = rows.product_idx[start:stop]
            encoded = _encode(products, np.unique(block_products), features)
            pieces = zip(block_products.tolist(), rows.query_idx[start:stop].tolist(), strict=True)
            file.writelines(part for p, q in pieces for part in (*encoded[p], ends[q]))


def write_labels(path: Path) -> None:
    """Write the label file: a header and the 33 classes."""
    with atomic_write(path) as file:
        file.write("category_id\tcategory_name\n")
        file.writelines(f"{i}\t{name}\n" for i, name in enumerate(LABELS))


def write_answers(path: Path, pools: Sequence[Pool], products: Products) -> None:
    """Write ``{"query_id": [product ids]}``, with integer ids as in the competition."""
    answers = {str(i): products.ids[pool.relevant].tolist() for i, pool in enumerate(pools)}
    with atomic_write(path) as file:
        file.write(json.dumps(answers))


def attribute_names(attributes: Sequence[int]) -> dict[str, str]:
    """Names of attribute values, without unspecified attributes."""
    named = zip(KINDS, VALUES, attributes, strict=True)
    return {kind: values[i].name for kind, values, i in named if i != ANY}


def truth(products: Products, queries: Sequence[Query]) -> dict[str, Any]:
    """Ground truth of a split: attributes by product id and by query id."""
    ids, attributes = products.ids.tolist(), products.attributes.tolist()
    return {
        "products": {str(i): attribute_names(row) for i, row in zip(ids, attributes, strict=True)},
        "queries": {str(i): attribute_names(q.wanted.tolist()) for i, q in enumerate(queries)},
    }


def _encode(
    products: Products, product_idx: IntArray, features: Features
) -> dict[int, tuple[bytes, ...]]:
    """Encoded product columns by product index."""
    lengths = products.offsets[product_idx + 1] - products.offsets[product_idx]
    ends = np.cumsum(lengths)
    first = np.repeat(products.offsets[product_idx] - (ends - lengths), lengths)
    regions = first + np.arange(ends[-1])
    values = features.of(products, regions, np.repeat(product_idx, lengths))
    boxes, labels = products.boxes[regions], products.labels[regions]
    encoded: dict[int, tuple[bytes, ...]] = {}
    spans = zip(product_idx.tolist(), (ends - lengths).tolist(), ends.tolist(), strict=True)
    for i, start, stop in spans:
        height, width = products.image_sizes[i]
        head = f"{products.ids[i]}\t{height}\t{width}\t{stop - start}\t".encode()
        columns = (b64encode(column[start:stop].data) for column in (boxes, values, labels))
        encoded[i] = (head, b"\t".join(columns))
    return encoded
