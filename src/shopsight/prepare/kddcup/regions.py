"""Decode the regions of raw rows, and validate all their numbers at once."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pybase64
from numpy.typing import NDArray

from shopsight.prepare.kddcup.rows import Row, RowError
from shopsight.types import AnyArray, BoolArray, IntArray

_FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class RowRules:
    """Validation rules of rows; ``labels`` are the ids of the label file, None without it."""

    feature_width: int
    labels: frozenset[int] | None
    dtype: str = "float16"


@dataclass
class Regions:
    """The R decoded regions of N rows, packed."""

    rows: list[Row]
    owner: IntArray  # (R,) row index of each region
    image_sizes: NDArray[np.int32]  # (N, 2) height and width
    boxes: NDArray[np.float32]  # (R, 4) pixels
    labels: IntArray
    stored: AnyArray  # (R, F) features in the stored number format
    high: NDArray[np.float32]  # (N,) largest feature of each row
    low: NDArray[np.float32]


def decode_regions(rows: list[Row], rules: RowRules, errors: list[RowError]) -> Regions:
    """Decode the base64 columns; rows whose bytes do not fit are appended to ``errors``."""
    valid: list[Row] = []
    columns: tuple[list[bytes], list[bytes], list[bytes]] = [], [], []
    for row in rows:
        decoded = _decode_row(row, rules.feature_width)
        if isinstance(decoded, RowError):
            errors.append(decoded)
            continue
        valid.append(row)
        for column, content in zip(columns, decoded, strict=True):
            column.append(content)
    boxes, features, labels = columns
    counts = np.array([row.regions for row in valid], np.int64)
    stored, high, low = _store_features(features, counts, rules)
    return Regions(
        valid,
        np.repeat(np.arange(len(valid)), counts),
        np.array([(row.height, row.width) for row in valid], np.int32).reshape(-1, 2),
        np.frombuffer(b"".join(boxes), "<f4").reshape(-1, 4),
        np.frombuffer(b"".join(labels), "<i8"),
        stored,
        high,
        low,
    )


def _store_features(
    decoded: list[bytes], counts: IntArray, rules: RowRules
) -> tuple[AnyArray, NDArray[np.float32], NDArray[np.float32]]:
    """Features (R, F) in the stored dtype, and the largest and smallest number of each row."""
    stored = np.empty((int(counts.sum()), rules.feature_width), rules.dtype)
    high, low = np.empty(len(decoded), np.float32), np.empty(len(decoded), np.float32)
    ends = np.cumsum(counts)
    with np.errstate(over="ignore", invalid="ignore"):
        # Row by row: a row that was just decoded is still in the processor's cache.
        for i, content in enumerate(decoded):
            full = np.frombuffer(content, "<f4")
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
    for name, text, size, content in columns:
        raw = from_base64(text)
        if raw is None:
            return RowError("base64", row.line, name, "bad base64")
        if len(raw) != row.regions * size:
            needed = f"num_boxes {row.regions} needs {row.regions * size} ({content} each)"
            return RowError("length", row.line, name, f"{len(raw)} bytes, but {needed}")
        decoded.append(raw)
    return tuple(decoded)


def check_regions(regions: Regions, rules: RowRules) -> list[RowError]:
    """The first error of each row with invalid numbers, by vectorised checks."""
    errors: dict[int, RowError] = {}

    def add(kind: str, column: str, rows: IntArray, reasons: Iterable[str]) -> None:
        for row, reason in zip(rows, reasons, strict=True):
            error = RowError(kind, regions.rows[row].line, column, reason)
            errors.setdefault(int(row), error)

    boxes, labels = regions.boxes, regions.labels
    sizes = regions.image_sizes[regions.owner]
    bad = np.flatnonzero(~_boxes_fit(boxes, sizes))
    add("box", "boxes", regions.owner[bad], (_box_fault(boxes[i], sizes[i]) for i in bad))
    # max and min propagate NaN and infinity, so two numbers per row tell whether all are finite.
    high, low = regions.high, regions.low
    finite = np.isfinite(high) & np.isfinite(low)
    bad = np.flatnonzero(~finite)
    add("not-finite", "features", bad, ["features hold NaN or infinity"] * len(bad))
    if rules.dtype == "float16":
        bad = np.flatnonzero(finite & (np.maximum(high, -low) > _FLOAT16_MAX))
        advice = "does not fit float16 (65504 at most); use --dtype float32"
        add("range", "features", bad, (f"{max(high[i], -low[i]):g} {advice}" for i in bad))
    unknown = (labels < 0) | (labels >= 1 << 15)
    if rules.labels is not None:
        unknown |= ~np.isin(labels, np.fromiter(rules.labels, np.int64))
    bad = np.flatnonzero(unknown)
    fault = "is beyond 32767" if rules.labels is None else "is not in the label file"
    add("label", "class_labels", regions.owner[bad], (f"label {labels[i]} {fault}" for i in bad))
    return list(errors.values())


def _boxes_fit(boxes: NDArray[np.float32], sizes: NDArray[np.int32]) -> BoolArray:
    """(R,) whether a box is finite, inside its image and has an area."""
    # NaN compares as false, so it needs no check of its own.
    top, left, bottom, right = boxes.T
    inside = (top >= 0) & (left >= 0) & (bottom <= sizes[:, 0]) & (right <= sizes[:, 1])
    fits: BoolArray = inside & (bottom > top) & (right > left)
    return fits


def _box_fault(box: NDArray[np.float32], size: NDArray[np.int32]) -> str:
    top, left, bottom, right = map(float, box)
    shown = f"box ({top:g}, {left:g}, {bottom:g}, {right:g})"
    if not np.isfinite(box).all():
        return f"{shown} is not finite"
    if bottom <= top or right <= left:
        return f"{shown} has no area (order: top, left, bottom, right)"
    return f"{shown} lies outside the {size[0]} x {size[1]} image (height x width)"


def from_base64(text: bytes | memoryview) -> bytes | None:
    """The decoded bytes; None for invalid base64."""
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
