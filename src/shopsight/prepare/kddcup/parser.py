"""The raw files of KDD Cup 2020 *Multimodalities Recall*: nine tab-separated columns.

``product_id image_h image_w num_boxes boxes features class_labels query query_id``, where
boxes (n, 4), features (n, F) and class_labels (n,) are base64 of little-endian float32,
float32 and int64. Rows are taken literally: quotes mean nothing, and tabs at the end of a
query belong to it.

A chunk is parsed in two steps: `split_rows` splits the lines one by one, `decode_regions` decodes
new products and `check_regions` validates all their numbers at once, where vectorising pays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopsight.errors import InputError
from shopsight.formats.content import BOM, numbered_lines, read_text
from shopsight.prepare.kddcup.line_reader import CHUNK_BYTES
from shopsight.prepare.kddcup.regions import (
    Regions,
    RowRules,
    check_regions,
    decode_regions,
    from_base64,
)
from shopsight.prepare.kddcup.rows import COLUMNS, Row, RowError, is_integer, split_rows
from shopsight.types import AnyArray, IntArray

HEADER = "\t".join(COLUMNS).encode()
LABELS_FILE = "multimodal_labels.txt"

KnownDigest = Callable[[int], int | None]
"""Digest of a product's columns by its id; None for products that have to be decoded."""


@dataclass
class ParsedRows:
    """The n valid rows of a chunk, packed: m of them with new products, R regions.

    ``lines`` count from 1 in the chunk (see `shift_lines`); ``digests`` are 64 bits of a hash of
    the product's seven raw columns; ``queries`` are literal UTF-8; ``new`` are the indices of the
    rows whose regions follow. ``errors`` are of the invalid rows, by line; ``line_count`` counts
    valid and invalid lines; ``is_complete`` is whether the last line has its line end.
    """

    lines: IntArray
    product_ids: IntArray
    digests: NDArray[np.uint64]
    query_ids: IntArray
    queries: list[bytes]
    new: IntArray
    image_sizes: NDArray[np.int32]
    region_counts: IntArray
    features: AnyArray  # (R, F) in the stored dtype
    boxes: NDArray[np.float32]  # (R, 4) pixels
    labels: NDArray[np.int16]
    errors: list[RowError]
    line_count: int = 0
    is_complete: bool = True

    def shift_lines(self, line: int) -> None:
        """Count lines from the start of the file, ``line`` of which precede the chunk."""
        self.lines += line
        self.errors = [replace(error, line=error.line + line) for error in self.errors]


def read_labels(path: Path) -> dict[int, str]:
    """Read ``multimodal_labels.txt``: a header, then ``category_id<TAB>category_name``.

    Raises:
        InputError: not two columns, an id that is not an integer or is repeated, no rows.
    """
    # A raw file given by mistake has a hundred gigabytes.
    if path.stat().st_size > CHUNK_BYTES:
        raise InputError(f"larger than {CHUNK_BYTES} bytes", path=path)
    names: dict[int, str] = {}
    for number, line in numbered_lines(read_text(path)):
        key, tab, name = line.partition("\t")
        if number == 1 and key.strip() == "category_id":
            continue
        if not tab or not is_integer(key.encode()) or int(key) >= 1 << 15:
            reason = "not 'category_id<TAB>category_name' with an id below 32768"
            raise InputError(reason, path=path, line=number)
        if int(key) in names:
            raise InputError(f"duplicate label {int(key)}", path=path, line=number)
        names[int(key)] = name
    if not names:
        raise InputError("no labels", path=path)
    return names


def header_size(data: bytes) -> int:
    r"""Bytes of the header row including byte order mark and line end; 0 without a header.

    >>> header_size(HEADER + b"\r\n1\t2")
    81
    """
    end = data.find(b"\n") + 1 or len(data)
    return end if data[:end].removeprefix(BOM).rstrip(b"\r\n\t ") == HEADER else 0


def feature_width_of(data: bytes) -> int:
    """F of the first row whose boxes, features and labels all fit its ``num_boxes``; else 0."""
    for line in data.splitlines():
        fields = line.split(b"\t", 7)
        if len(fields) == 8 and is_integer(fields[3]) and int(fields[3]):
            regions = int(fields[3])
            sizes = [len(from_base64(text) or b"") for text in fields[4:7]]
            width, rest = divmod(sizes[1], 4 * regions)
            if width and not rest and (sizes[0], sizes[2]) == (16 * regions, 8 * regions):
                return width
    return 0


def parse_rows(data: bytes, rules: RowRules, known: KnownDigest) -> ParsedRows:
    """Parse and validate the rows of a chunk without the header.

    A known product with the same raw columns is not decoded again. One with different columns is
    decoded; rejecting it is up to the caller.
    """
    rows, errors, line_count = split_rows(data)
    new = _first_of_each(rows, known)
    regions = decode_regions(new, rules, errors)
    errors += check_regions(regions, rules)
    errors += _repeated_errors(rows, errors)
    packed = _pack(rows, regions, sorted(errors, key=lambda error: error.line))
    packed.line_count, packed.is_complete = line_count, data.endswith(b"\n")
    return packed


def _first_of_each(rows: list[Row], known: KnownDigest) -> list[Row]:
    """The first row of each new product and content."""
    firsts: dict[tuple[int, int], Row] = {}
    for row in rows:
        if known(row.product_id) != row.digest:
            firsts.setdefault((row.product_id, row.digest), row)
    return list(firsts.values())


def _repeated_errors(rows: list[Row], errors: list[RowError]) -> list[RowError]:
    """Errors of the rows that repeat the content of an invalid row, each at its own line."""
    by_line = {error.line: error for error in errors}
    invalid = {(r.product_id, r.digest): by_line[r.line] for r in rows if r.line in by_line}
    return [
        replace(error, line=row.line)
        for row in rows
        if row.line not in by_line
        and (error := invalid.get((row.product_id, row.digest))) is not None
    ]


def _pack(rows: list[Row], regions: Regions, errors: list[RowError]) -> ParsedRows:
    invalid = {error.line for error in errors}
    valid = [row for row in rows if row.line not in invalid]
    lines = np.array([row.line for row in valid], np.int64)
    is_valid = np.array([row.line not in invalid for row in regions.rows], bool)
    # A mask would copy all features.
    keep = slice(None) if is_valid.all() else is_valid[regions.owner]
    new_lines = np.array([row.line for row in regions.rows], np.int64)[is_valid]
    return ParsedRows(
        lines=lines,
        product_ids=np.array([row.product_id for row in valid], np.int64),
        digests=np.array([row.digest for row in valid], np.uint64),
        query_ids=np.array([row.query_id for row in valid], np.int64),
        queries=[row.query for row in valid],
        new=np.searchsorted(lines, new_lines),
        image_sizes=regions.image_sizes[is_valid],
        region_counts=np.array([row.regions for row in regions.rows], np.int64)[is_valid],
        features=regions.stored[keep],
        boxes=regions.boxes[keep],
        labels=regions.labels[keep].astype(np.int16),
        errors=errors,
    )
