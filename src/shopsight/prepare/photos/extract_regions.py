"""Extract the regions of stored photos with an extractor passed in from above.

Regions belong to the small photo as it is stored: a page shows what the models saw, and any later
photo goes through the same resizing before extraction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
import xxhash

from shopsight.data.photo_store import PHOTOS
from shopsight.formats.images import decode_photo
from shopsight.formats.processes import process_pool
from shopsight.prepare.photos.writers import photo_offsets
from shopsight.types import Extractor, IntArray, Photo, PhotoRegions

BATCH = 64
"""Photos per extractor call. Batches are aligned to the first product, so that a resumed run
extracts every photo in the same batch: batched networks may round differently otherwise."""
_TASK = 8  # photos per task of a process: small enough to balance, large enough to amortise


@dataclass(frozen=True)
class RegionSource:
    """The origin of regions, passed in from above; without callables they come with the table.

    ``settings`` are everything that changes the result. ``make`` makes an extractor that needs no
    training, ``load`` opens a saved one, ``learn`` trains one on the catalogue, as
    `shopsight.regions.learn_extractor` does.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    make: Callable[[], Extractor] | None = None
    load: Callable[[Path], Extractor] | None = None
    learn: Callable[..., Extractor] | None = None

    @property
    def precomputed(self) -> bool:
        """Whether regions come with the table."""
        return self.make is None and self.learn is None


class StoredPhotos(Sequence[Photo]):
    """Photos of ``products`` (n,) (default: all) in a working folder, decoded on access."""

    def __init__(self, partial: Path, products: IntArray | None = None) -> None:
        path, self.offsets = partial / "data" / PHOTOS, photo_offsets(partial)
        # An empty file cannot be mapped.
        self._bytes = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, "u1")
        self._products = np.arange(len(self.offsets) - 1) if products is None else products

    def __len__(self) -> int:
        return len(self._products)

    @overload
    def __getitem__(self, index: int) -> Photo: ...

    @overload
    def __getitem__(self, index: slice) -> list[Photo]: ...

    def __getitem__(self, index: int | slice) -> Photo | list[Photo]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return decode_photo(self.jpeg(index))

    def jpeg(self, index: int) -> bytes:
        """A photo as it is stored."""
        product = self._products[index]
        return self._bytes[self.offsets[product] : self.offsets[product + 1]].tobytes()

    def digests(self) -> list[bytes]:
        """A hash of each photo; empty for products without a photo."""
        jpegs = map(self.jpeg, range(len(self)))
        return [xxhash.xxh3_128_digest(jpeg) if jpeg else b"" for jpeg in jpegs]


def extract_all(
    extractor: Extractor, photos: StoredPhotos, start: int, workers: int
) -> Iterator[list[PhotoRegions]]:
    """The regions of all photos from ``start`` on, some at a time, in their order."""
    if not extractor.in_workers:
        for first in range(start, len(photos), BATCH):
            yield list(extractor.extract(photos[first : first + BATCH]))
        return
    # Workers extract photo by photo, so their tasks need no alignment.
    tasks = (
        (None, [photos.jpeg(i) for i in range(first, min(first + _TASK, len(photos)))])
        for first in range(start, len(photos), _TASK)
    )
    with process_pool(_extract, workers, _set_extractor, (extractor,)) as pool:
        for _, regions in pool.map(tasks):
            yield regions


# A worker process receives the extractor once, not with every task: weights are large.
_extractor: Extractor | None = None


def _set_extractor(extractor: Extractor) -> None:
    global _extractor
    _extractor = extractor


def _extract(jpegs: list[bytes]) -> list[PhotoRegions]:
    assert _extractor is not None
    return [regions for jpeg in jpegs for regions in _extractor.extract([decode_photo(jpeg)])]
