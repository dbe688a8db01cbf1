"""Make new segments and removed rows the current state of an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

_SMALL = 10  # a segment with at most this part of the products is merged with other small ones


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
    return _merge(folder, progress, lambda _: True)


def compact_if_needed(folder: Path, generation: Generation, progress: Progress) -> Generation:
    """Compact an index with too many segments or removed products (see `IndexConfig`).

    Small segments are merged by themselves if there are any, so that a stream of small changes does
    not rewrite a large index again and again.
    """
    settings, segments = generation.settings, generation.segments
    rows = sum(segment.rows for segment in segments)
    if rows and 1 - generation.products / rows > settings.compact_fraction:
        return compact(folder, progress)
    if len(segments) <= settings.compact_above:
        return generation
    limit = generation.products / _SMALL
    small = [segment for segment in segments if segment.rows - segment.removed <= limit]
    return _merge(folder, progress, lambda segment: len(small) < 2 or segment in small)


def _merge(folder: Path, progress: Progress, chosen: Callable[[SegmentInfo], bool]) -> Generation:
    """Merge the chosen segments into one without removed rows."""
    snapshot = Snapshot.current(folder)
    generation, kept, rows = snapshot.generation, [], [np.empty(0, np.int64)]
    for i, segment in enumerate(generation.segments):
        start, stop = snapshot.bounds[i : i + 2].tolist()
        if chosen(segment):
            rows.append(np.flatnonzero(snapshot.alive[start:stop]) + start)
        else:
            kept.append(segment)
    merged = np.concatenate(rows)
    if not len(merged):
        return publish(folder, generation, kept, [], progress)
    segment = write_segment(folder, generation, from_snapshot(snapshot, merged), progress)
    return publish(folder, generation, [*kept, segment], [segment.name], progress)
