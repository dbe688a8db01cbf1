"""Near-identical products: photos that are copies of each other, or all but copies."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shopsight.config import DedupeConfig
from shopsight.errors import UsageError
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray

_AT_ONCE = 256
_SIDE = 8


@dataclass(frozen=True)
class Group:
    """Products that are near-identical, each to at least one other of the group.

    Attributes:
        product_ids: two or more, in the order of the index.
        cosine: the least cosine of a pair that brought them together.
        same_file: whether all photos are the same file.
    """

    product_ids: tuple[str, ...]
    cosine: float
    same_file: bool


def find_duplicates(
    snapshot: Snapshot,
    config: DedupeConfig | None = None,
    progress: Progress | None = None,
) -> list[Group]:
    """Groups of near-identical products, the largest first.

    Each product is compared with its nearest ones by the dual encoder's vectors. Where both have a
    photo, the difference hashes of the photos have to agree too: the dual encoder also finds two
    photos of like products alike.

    Args:
        snapshot: the index.
        config: when two are near-identical.
        progress: told how far it is.
    """
    config = config or DedupeConfig()
    alive = np.flatnonzero(snapshot.alive)
    hashes: dict[int, int | None] = {}
    together = _Together()
    pairs: list[tuple[int, int, float]] = []
    for start in range(0, len(alive), _AT_ONCE):
        if progress:
            progress("compare", start, len(alive))
        rows = alive[start : start + _AT_ONCE]
        near, cosines = snapshot.nearest(
            snapshot.vectors(rows), config.neighbours + 1, snapshot.allowed([])
        )
        for row, others, values in zip(rows.tolist(), near, cosines, strict=True):
            for other, cosine in zip(others.tolist(), values.tolist(), strict=True):
                if other in (-1, row) or cosine < config.cosine:
                    continue
                if _alike(snapshot, row, other, hashes, config.bits):
                    together.join(row, other)
                    pairs.append((row, other, cosine))
    return _groups(snapshot, together, pairs)


def difference_hash(photo: bytes) -> int | None:
    """64 bits of a photo: whether each of 8 × 8 places is darker than the next to its right.

    Args:
        photo: a JPEG or PNG file; None is returned for a broken one.
    """
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
    bits = np.packbits(grey[:, :-1] < grey[:, 1:])
    return int.from_bytes(bits.tobytes())


class _Together:
    """Disjoint sets of rows."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def of(self, row: int) -> int:
        while self._above.get(row, row) != row:
            self._above[row] = self._above.get(self._above[row], self._above[row])
            row = self._above[row]
        return row

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        self._above.setdefault(first, first)
        self._above[second] = first


def _alike(
    snapshot: Snapshot, one: int, other: int, hashes: dict[int, int | None], bits: int
) -> bool:
    for row in (one, other):
        if row not in hashes:
            photo = snapshot.photo(row)
            hashes[row] = None if photo is None else difference_hash(photo)
    first, second = hashes[one], hashes[other]
    return first is None or second is None or (first ^ second).bit_count() <= bits


def _groups(
    snapshot: Snapshot, together: _Together, pairs: list[tuple[int, int, float]]
) -> list[Group]:
    rows: dict[int, set[int]] = {}
    least: dict[int, float] = {}
    for one, other, cosine in pairs:
        head = together.of(one)
        rows.setdefault(head, set()).update((one, other))
        least[head] = min(least.get(head, 1.0), cosine)
    found = []
    for head, members in rows.items():
        ordered: IntArray = np.array(sorted(members), np.int64)
        photos = {snapshot.photo(row) for row in ordered.tolist()}
        same = len(photos) == 1 and None not in photos
        found.append(Group(tuple(snapshot.ids(ordered)), least[head], same))
    return sorted(found, key=lambda group: (-len(group.product_ids), group.product_ids))
