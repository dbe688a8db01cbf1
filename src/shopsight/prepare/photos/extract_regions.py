"""From stored photos to regions, by whatever extractor is handed in.

Regions are those of the small photo as it is stored, so that what a model saw is what a page
shows, and any later photo is described the same way once it is brought to that size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
import xxhash
from numpy.typing import NDArray

from shopsight.formats.images import decode_photo
from shopsight.formats.processes import Pool, process_pool
from shopsight.prepare.photos.writers import Described
from shopsight.types import IntArray

Pixels = NDArray[np.uint8]
BATCH = 64
"""Photos an extractor gets at once; batches begin at the first product, so that a broken run that
goes on describes every photo among the same others."""
_TASK = 8  # photos that a process describes before it answers


class RegionExtractor(Protocol):
    """What describes photos; see `shopsight.regions.Extractor`."""

    name: str
    width: int
    label_names: tuple[str, ...]
    in_workers: bool

    def extract(self, photos: Sequence[Pixels]) -> Sequence[Described]:
        """The regions of photos, in their order."""

    def save(self, folder: Path) -> None:
        """Write settings and weights."""


@dataclass(frozen=True)
class RegionSource:
    """How regions come about, handed in from above.

    Attributes:
        settings: everything that changes the result, for ``data.json`` and to know a changed call.
        make: the extractor; for one that learns, see ``learn``.
        load: an extractor that was saved.
        learn: makes the extractor from photos and words of the training products, a seed, and a
            function that is told about its progress; None where nothing is learned.
        ready_made: regions come with the table, and nothing here is asked for any.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    make: Callable[[], RegionExtractor] | None = None
    load: Callable[[Path], RegionExtractor] | None = None
    learn: (
        Callable[
            [Sequence[Pixels], Sequence[Sequence[str]], int, Callable[[str], None]], RegionExtractor
        ]
        | None
    ) = None

    @property
    def precomputed(self) -> bool:
        """Whether regions come with the table."""
        return self.make is None and self.learn is None


class StoredPhotos(Sequence[Pixels]):
    """Photos that are stored, decoded as they are asked for.

    Args:
        path: the JPEG files end to end.
        offsets: (P + 1,) where each begins.
        which: (n,) the products to show; all by default.
    """

    def __init__(self, path: Path, offsets: IntArray, which: IntArray | None = None) -> None:
        self._bytes = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, "u1")
        self._offsets = offsets
        self._which = np.arange(len(offsets) - 1) if which is None else which

    def __len__(self) -> int:
        return len(self._which)

    @overload
    def __getitem__(self, index: int) -> Pixels: ...

    @overload
    def __getitem__(self, index: slice) -> list[Pixels]: ...

    def __getitem__(self, index: int | slice) -> Pixels | list[Pixels]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return decode_photo(self.jpeg(index))

    def jpeg(self, index: int) -> bytes:
        """A photo as it is stored."""
        product = self._which[index]
        return self._bytes[self._offsets[product] : self._offsets[product + 1]].tobytes()

    def digests(self) -> list[bytes]:
        """What tells photos apart; nothing where there is no photo."""
        jpegs = map(self.jpeg, range(len(self)))
        return [xxhash.xxh3_128_digest(one) if one else b"" for one in jpegs]


def describe_all(
    extractor: RegionExtractor, photos: StoredPhotos, start: int, workers: int
) -> Iterator[list[Described]]:
    """The regions of all photos from ``start`` on, a multiple of `BATCH`, batch by batch."""
    starts = range(start, len(photos), BATCH)
    if not extractor.in_workers:
        for first in starts:
            yield list(extractor.extract(photos[first : first + BATCH]))
        return
    with process_pool(_describe, workers, _take_extractor, (extractor,)) as pool:
        yield from _joined(pool, photos, starts)


def _joined(
    pool: Pool[list[bytes], list[Described]], photos: StoredPhotos, starts: range
) -> Iterator[list[Described]]:
    def tasks() -> Iterator[tuple[bool, list[bytes]]]:
        for first in starts:
            stop = min(first + BATCH, len(photos))
            for here in range(first, stop, _TASK):
                there = min(here + _TASK, stop)
                yield there == stop, [photos.jpeg(i) for i in range(here, there)]

    batch: list[Described] = []
    for is_last, described in pool.map(tasks()):
        batch += described
        if is_last:
            yield batch
            batch = []


_extractor: RegionExtractor | None = None  # of this process


def _take_extractor(extractor: RegionExtractor) -> None:
    global _extractor
    _extractor = extractor


def _describe(jpegs: list[bytes]) -> list[Described]:
    assert _extractor is not None
    return [one for jpeg in jpegs for one in _extractor.extract([decode_photo(jpeg)])]
