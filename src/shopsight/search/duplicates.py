"""Near-duplicate products, by vectors and by perceptual hashes of their photos."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from shopsight.config import DedupeConfig
from shopsight.errors import UsageError
from shopsight.search.snapshot import Snapshot
from shopsight.types import Progress, no_progress

_BATCH = 256
_SIDE = 8


@dataclass(frozen=True)
class DuplicateGroup:
    """Products each of which is a near-duplicate of another one of the group.

    Attributes:
        product_ids: two or more, in the order of the index.
        cosine: the smallest cosine of a pair of near-duplicates.
        same_file: whether all photos are the same file.
    """

    product_ids: tuple[str, ...]
    cosine: float
    same_file: bool


def find_duplicates(
    snapshot: Snapshot, config: DedupeConfig | None = None, progress: Progress = no_progress
) -> list[DuplicateGroup]:
    """Group near-duplicate products, the largest group first.

    Each product is compared with its nearest neighbours by dual-encoder vectors. Where both have a
    photo, the difference hashes must agree as well, since the dual encoder also finds photos of
    similar products alike.
    """
    config = config or DedupeConfig()

    @cache
    def photo_hash(row: int) -> int | None:
        photo = snapshot.photo(row)
        return None if photo is None else difference_hash(photo)

    def similar_photos(row: int, other: int) -> bool:
        first, second = photo_hash(row), photo_hash(other)
        return first is None or second is None or (first ^ second).bit_count() <= config.bits

    alive = np.flatnonzero(snapshot.alive)
    pairs: list[tuple[int, int, float]] = []
    for start in range(0, len(alive), _BATCH):
        progress("compare", start, len(alive))
        rows = alive[start : start + _BATCH]
        neighbours, cosines = snapshot.nearest(
            snapshot.vectors(rows), config.neighbours + 1, snapshot.allowed([])
        )
        near = (cosines >= config.cosine) & (neighbours >= 0) & (neighbours != rows[:, None])
        for i, j in np.argwhere(near).tolist():
            row, other = int(rows[i]), int(neighbours[i, j])
            if similar_photos(row, other):
                pairs.append((row, other, float(cosines[i, j])))
    return _groups(snapshot, pairs)


def difference_hash(photo: bytes) -> int | None:
    """64-bit difference hash (each of 8 x 8 cells > its right neighbour); None if undecodable."""
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError("photos need Pillow: pip install 'shopsight[search]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(photo)) as image:
                image.draft("L", (_SIDE * 4, _SIDE * 4))
                small = image.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX)
    except Exception:  # decoders raise anything on broken files
        return None
    grey = np.asarray(small, np.int16)
    return int.from_bytes(np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes())


def _groups(snapshot: Snapshot, pairs: list[tuple[int, int, float]]) -> list[DuplicateGroup]:
    """Connected components of the pairs (row, row, cosine)."""
    if not pairs:
        return []
    rows, idx = np.unique(np.array([pair[:2] for pair in pairs]), return_inverse=True)
    first, second = idx.reshape(-1, 2).T
    edges = coo_array((np.ones(len(pairs)), (first, second)), shape=(len(rows), len(rows)))
    count, component = connected_components(edges, directed=False)
    smallest = np.ones(count)
    np.minimum.at(smallest, component[first], [cosine for _, _, cosine in pairs])
    groups = []
    for group, cosine in enumerate(smallest.tolist()):
        members = rows[component == group]
        photos = {snapshot.photo(row) for row in members.tolist()}
        same = len(photos) == 1 and None not in photos
        groups.append(DuplicateGroup(tuple(snapshot.ids(members)), cosine, same))
    return sorted(groups, key=lambda group: (-len(group.product_ids), group.product_ids))
