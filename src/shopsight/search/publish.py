"""Make new segments and removed rows the current state of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from shopsight.formats.atomic import write_npy
from shopsight.formats.checksums import checksums
from shopsight.search.manifest import (
    EXTRACTOR,
    MODELS,
    Generation,
    SegmentInfo,
    drop_pending,
    removed_name,
    write_generation,
)
from shopsight.search.segment_sources import from_snapshot, write_segment
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray, Progress


def publish(
    folder: Path,
    previous: Generation,
    segments: Sequence[SegmentInfo],
    new_files: Sequence[str],
    progress: Progress,
) -> Generation:
    """Write the next generation; ``new_files`` are those that the previous one does not list."""
    # Files of earlier generations never change, so their checksums are carried over.
    progress("checksums", 0, 1)
    kept = {MODELS, EXTRACTOR}
    kept.update(name for segment in segments for name in (segment.name, segment.removed_file))
    files = {name: entry for name, entry in previous.files.items() if name.split("/")[0] in kept}
    files.update(checksums(folder, new_files))
    number = previous.number + 1
    generation = replace(previous, number=number, segments=tuple(segments), files=files)
    write_generation(folder, generation)
    drop_pending(folder)
    return generation


def mark_removed(
    folder: Path, snapshot: Snapshot, rows: IntArray
) -> tuple[list[SegmentInfo], list[str]]:
    """Remove rows (n,); returns the segments that are not empty, and the files written."""
    alive = snapshot.alive.copy()
    alive[rows] = False
    segments, files = [], []
    for i, segment in enumerate(snapshot.generation.segments):
        removed = np.flatnonzero(~alive[snapshot.bounds[i] : snapshot.bounds[i + 1]])
        if len(removed) == segment.rows:
            continue
        if len(removed) > segment.removed:
            # A new name, since readers of the current generation still open the old file.
            name = removed_name(snapshot.generation.number + 1, segment.name)
            write_npy(folder / name, removed)
            files.append(name)
            segment = replace(segment, removed=len(removed), removed_file=name)
        segments.append(segment)
    return segments, files


def compact(folder: Path, progress: Progress) -> Generation:
    """Merge all segments into one without removed rows."""
    snapshot = Snapshot.current(folder)
    generation = snapshot.generation
    if not generation.products:
        return publish(folder, generation, [], [], progress)
    segment = write_segment(folder, generation, from_snapshot(snapshot), progress)
    return publish(folder, generation, [segment], [segment.name], progress)


def compact_if_needed(folder: Path, generation: Generation, progress: Progress) -> Generation:
    """Compact an index with too many segments or removed products (see `IndexConfig`)."""
    settings = generation.settings
    rows = sum(segment.rows for segment in generation.segments)
    removed = 1 - generation.products / rows if rows else 0.0
    if len(generation.segments) > settings.compact_above or removed > settings.compact_fraction:
        return compact(folder, progress)
    return generation
