"""A large index for measurements: products drawn around the real ones of a small index."""

from __future__ import annotations

import shutil
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from shopsight.formats.checksums import checksums
from shopsight.formats.locks import folder_lock
from shopsight.models.dual import DualEncodings
from shopsight.search.encoders import SearchModels
from shopsight.search.manifest import MODELS, Generation, pending
from shopsight.search.publish import publish
from shopsight.search.retrievers.base import Vectors
from shopsight.search.segment import DUAL
from shopsight.search.segment_sources import finish_segment
from shopsight.search.segment_writer import SegmentWriter
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray, Progress, no_progress

_AT_ONCE = 8192
_NEIGHBOURS = 10
_NOISE = 0.3  # length of the noise, as a share of the way to the neighbour


def build_synthetic_index(
    source: Snapshot,
    products: int,
    out: Path,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Generation:
    """Write an index of many products that are no real ones, but stand where real ones do.

    A product is drawn between a real one and one of its ten nearest, at a random share of the way
    and with some noise; its codes for ranking and its fields are the real one's. Photos and
    regions are left out.

    Args:
        source: a real index.
        products: how many.
        out: where to.
        seed: of the drawing.
        progress: told how far it is.
    """
    rng, rows = np.random.default_rng(seed), np.flatnonzero(source.alive)
    vectors = source.vectors(rows)
    near, _ = source.nearest(vectors, _NEIGHBOURS + 1, source.allowed([]))
    place = np.full(len(source), 0)
    place[rows] = np.arange(len(rows))
    settings = replace(source.generation.settings, regions=False)
    with folder_lock(out):
        shutil.copytree(source.folder / MODELS, out / MODELS, dirs_exist_ok=True)
        begun = replace(
            source.generation, number=0, identity=uuid.UUID(int=seed).hex, settings=settings,
            segments=(), files=checksums(out, [MODELS]),
        )  # fmt: skip
        folder = pending(out, f"grown-{products}-{seed}")
        origin = rng.integers(0, len(rows), products)
        with closing(SegmentWriter(folder, settings)) as writer:
            for start in range(0, products, _AT_ONCE):
                progress("draw", start, products)
                at = origin[start : start + _AT_ONCE]
                codes = {name: source.encodings(name, rows[at]) for name in begun.models}
                codes[DUAL] = DualEncodings(
                    torch.from_numpy(_drawn(vectors, at, place[near[at]], rng))
                )
                writer.append(codes, None)
            progress("recall", 0, 1)
            fields = source.fields.table
            about = writer.finish(
                [f"{i:09d}" for i in range(products)],
                fields.take(pa.array(rows[origin])) if fields.column_names else None,
                None,
                SearchModels(out / MODELS, [DUAL]).sample_vectors(),
            )
        part = finish_segment(out, folder, products, about)
        return publish(out, begun, [part], [part.name], progress)


def _drawn(vectors: Vectors, at: IntArray, near: IntArray, rng: np.random.Generator) -> Vectors:
    """(n, D) vectors between those at (n,) and one of their neighbours (n, m), with noise."""
    chosen = near[np.arange(len(at)), rng.integers(1, near.shape[1], len(at))]
    way = vectors[chosen] - vectors[at]
    noise = rng.standard_normal(way.shape).astype(np.float32)
    noise *= _NOISE * np.linalg.norm(way, axis=1, keepdims=True)
    noise /= np.sqrt(way.shape[1])
    moved = vectors[at] + rng.random((len(at), 1)).astype(np.float32) * way + noise
    found: Vectors = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return found
