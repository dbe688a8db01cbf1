"""Large synthetic indexes, made by perturbing the products of a small one."""

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
from shopsight.search.segment_sources import finish_segment
from shopsight.search.segment_writer import SegmentWriter
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray, Progress, no_progress

_BLOCK = 8192
_NEIGHBOURS = 10
_NOISE = 0.3  # length of the noise, relative to the distance of the neighbour


def build_synthetic_index(
    source: Snapshot, products: int, out: Path, seed: int = 0, progress: Progress = no_progress
) -> Generation:
    """Write an index of synthetic products with realistic vectors.

    The vector of a product lies at a random point between a real one and one of its ten nearest,
    with noise; its other encodings and its fields are those of the real one. It has no photo and
    no regions.
    """
    rng, rows = np.random.default_rng(seed), np.flatnonzero(source.alive)
    vectors = source.vectors(rows)
    nearest, _ = source.nearest(vectors, _NEIGHBOURS + 1, source.allowed([]))
    position = np.full(len(source), 0)  # row of the source to row of `vectors`
    position[rows] = np.arange(len(rows))
    settings = replace(source.generation.settings, regions=False)
    with folder_lock(out):
        shutil.copytree(source.folder / MODELS, out / MODELS, dirs_exist_ok=True)
        generation = replace(
            source.generation, number=0, identity=uuid.UUID(int=seed).hex, settings=settings,
            segments=(), files=checksums(out, [MODELS]),
        )  # fmt: skip
        folder = pending(out, f"grown-{products}-{seed}")
        origin = rng.integers(0, len(rows), products)
        with closing(SegmentWriter(folder, settings, source.retrieval)) as writer:
            for start in range(0, products, _BLOCK):
                progress("draw", start, products)
                idx = origin[start : start + _BLOCK]
                encodings = {name: source.encodings(name, rows[idx]) for name in generation.models}
                encodings[source.retrieval] = DualEncodings(
                    torch.from_numpy(_perturb(vectors, idx, position[nearest[idx]], rng))
                )
                writer.append(encodings, None)
            progress("recall", 0, 1)
            fields = source.fields.table
            info = writer.finish(
                [f"{i:09d}" for i in range(products)],
                fields.take(pa.array(rows[origin])) if fields.column_names else None,
                None,
                SearchModels(out / MODELS).sample_vectors(),
            )
        segment = finish_segment(out, folder, products, info)
        return publish(out, generation, [segment], [segment.name], progress)


def _perturb(
    vectors: Vectors, idx: IntArray, nearest: IntArray, rng: np.random.Generator
) -> Vectors:
    """(n, D) vectors between those at (n,) and one of their neighbours (n, m), with noise."""
    neighbour = nearest[np.arange(len(idx)), rng.integers(1, nearest.shape[1], len(idx))]
    difference = vectors[neighbour] - vectors[idx]
    noise = rng.standard_normal(difference.shape).astype(np.float32)
    noise *= _NOISE * np.linalg.norm(difference, axis=1, keepdims=True)
    noise /= np.sqrt(difference.shape[1])
    fraction = rng.random((len(idx), 1)).astype(np.float32)
    moved = vectors[idx] + fraction * difference + noise
    unit: Vectors = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return unit
