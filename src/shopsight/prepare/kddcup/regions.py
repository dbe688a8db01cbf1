"""Decoding the regions of raw rows, and checking all their numbers at once."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pybase64
from numpy.typing import NDArray

from shopsight.prepare.kddcup.rows import Row, RowError
from shopsight.types import AnyArray, BoolArray, IntArray

_FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class RowRules:
    """What rows are checked against.

    Attributes:
        feature_width: numbers per region feature, F.
        labels: ids in the label file; None where there is no label file.
        dtype: number format that features are stored in.
    """

    feature_width: int
    labels: frozenset[int] | None
    dtype: str = "float16"


@dataclass
class Regions:
    """The decoded regions of some rows, packed; ``owner`` says which row each belongs to."""

    rows: list[Row]
    owner: IntArray
    image_sizes: NDArray[np.int32]
    boxes: NDArray[np.float32]
    labels: IntArray
    stored: AnyArray
    high: NDArray[np.float32]
    low: NDArray[np.float32]


def decode_regions(
    rows: list[Row], rules: RowRules, errors: list[RowError], into: memoryview | None
) -> Regions:
    """Decode the base64 columns; rows whose bytes do not fit are noted in ``errors``."""
    good: list[Row] = []
    columns: tuple[list[bytes], list[bytes], list[bytes]] = [], [], []
    for row in rows:
        raw = _decode_row(row, rules.feature_width)
        if isinstance(raw, RowError):
            errors.append(raw)
            continue
        good.append(row)
        for column, part in zip(columns, raw, strict=True):
            column.append(part)
    boxes, features, labels = columns
    counts = np.array([row.regions for row in good], np.int64)
    stored, high, low = _store_features(features, counts, rules, into)
    return Regions(
        good,
        np.repeat(np.arange(len(good)), counts),
        np.array([(row.height, row.width) for row in good], np.int32).reshape(-1, 2),
        np.frombuffer(b"".join(boxes), "<f4").reshape(-1, 4),
        np.frombuffer(b"".join(labels), "<i8"),
        stored,
        high,
        low,
    )


def _store_features(
    raws: list[bytes], counts: IntArray, rules: RowRules, into: memoryview | None
) -> tuple[AnyArray, NDArray[np.float32], NDArray[np.float32]]:
    """Features (R, F) in the stored dtype, and the largest and smallest number of each row.

    Row by row, because a row that was just decoded is still in the processor's cache.
    """
    shape = (int(counts.sum()), rules.feature_width)
    size = shape[0] * shape[1] * np.dtype(rules.dtype).itemsize
    memory = bytearray(size) if into is None else into[:size]
    stored = np.frombuffer(memory, rules.dtype).reshape(shape)
    high, low = np.empty(len(raws), np.float32), np.empty(len(raws), np.float32)
    ends = np.cumsum(counts)
    with np.errstate(over="ignore", invalid="ignore"):
        for i, raw in enumerate(raws):
            full = np.frombuffer(raw, "<f4")
            high[i], low[i] = full.max(), full.min()
            stored[ends[i] - counts[i] : ends[i]] = full.reshape(-1, rules.feature_width)
    return stored, high, low


def _decode_row(row: Row, feature_width: int) -> tuple[bytes, ...] | RowError:
    columns = (
        ("boxes", row.boxes, 16, "4 float32"),
        ("features", row.features, 4 * feature_width, f"{feature_width} float32"),
        ("class_labels", row.labels, 8, "1 int64"),
    )
    decoded = []
    for name, text, size, what in columns:
        raw = from_base64(text)
        if raw is None:
            return RowError("base64", row.line, name, "bad base64")
        if len(raw) != row.regions * size:
            needed = f"num_boxes {row.regions} needs {row.regions * size} ({what} each)"
            return RowError("length", row.line, name, f"{len(raw)} bytes, but {needed}")
        decoded.append(raw)
    return tuple(decoded)


def check_regions(regions: Regions, rules: RowRules) -> list[RowError]:
    """The first fault of each row whose numbers are wrong, by vectorised checks."""
    found: dict[int, RowError] = {}

    def note(kind: str, column: str, rows: IntArray, reasons: Iterator[str]) -> None:
        for row, reason in zip(rows, reasons, strict=True):
            error = RowError(kind, regions.rows[row].line, column, reason)
            found.setdefault(int(row), error)

    boxes, labels = regions.boxes, regions.labels
    sizes = regions.image_sizes[regions.owner]
    wrong = np.flatnonzero(~_boxes_fit(boxes, sizes))
    note("box", "boxes", regions.owner[wrong], (_wrong_box(boxes[i], sizes[i]) for i in wrong))
    # The largest and smallest number of a row carry NaN and infinity along.
    high, low = regions.high, regions.low
    finite = np.isfinite(high) & np.isfinite(low)
    wrong = np.flatnonzero(~finite)
    note("not-finite", "features", wrong, ("features hold NaN or infinity" for _ in wrong))
    if rules.dtype == "float16":
        wrong = np.flatnonzero(finite & (np.maximum(high, -low) > _FLOAT16_MAX))
        advice = "does not fit float16 (65504 at most); use --dtype float32"
        note("range", "features", wrong, (f"{max(high[i], -low[i]):g} {advice}" for i in wrong))
    unknown = (labels < 0) | (labels >= 1 << 15)
    if rules.labels is not None:
        unknown |= ~np.isin(labels, np.fromiter(rules.labels, np.int64))
    wrong = np.flatnonzero(unknown)
    what = "is beyond 32767" if rules.labels is None else "is not in the label file"
    reasons = (f"label {labels[i]} {what}" for i in wrong)
    note("label", "class_labels", regions.owner[wrong], reasons)
    return list(found.values())


def _boxes_fit(boxes: NDArray[np.float32], sizes: NDArray[np.int32]) -> BoolArray:
    """(R,) whether a box is finite, inside its image and has an area; NaN compares as false."""
    top, left, bottom, right = boxes.T
    inside = (top >= 0) & (left >= 0) & (bottom <= sizes[:, 0]) & (right <= sizes[:, 1])
    fits: BoolArray = inside & (bottom > top) & (right > left)
    return fits


def _wrong_box(box: NDArray[np.float32], size: NDArray[np.int32]) -> str:
    top, left, bottom, right = map(float, box)
    shown = f"box ({top:g}, {left:g}, {bottom:g}, {right:g})"
    if not np.isfinite(box).all():
        return f"{shown} is not finite"
    if bottom <= top or right <= left:
        return f"{shown} has no area (order: top, left, bottom, right)"
    return f"{shown} lies outside the {size[0]} x {size[1]} image (height x width)"


def from_base64(text: bytes | memoryview) -> bytes | None:
    """The decoded bytes; None where the text is not base64."""
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
