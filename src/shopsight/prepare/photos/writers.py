"""Appending products and their regions to the growing files of a preparation of photos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shopsight.data.photo_store import PHOTOS
from shopsight.errors import DataError
from shopsight.formats.images import SmallPhoto
from shopsight.prepare.journal import GrowingFiles
from shopsight.prepare.kddcup.writers import ShardedFeatures
from shopsight.prepare.photos.columns import PhotoRow
from shopsight.types import AnyArray

ROWS = "spool/rows.jsonl"
SKIPPED = "data/skipped.tsv"


class Described(Protocol):
    """The regions of one photo, n of them."""

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(n, 4) pixels: top, left, bottom, right."""

    @property
    def features(self) -> NDArray[np.float32]:
        """(n, F)."""

    @property
    def labels(self) -> NDArray[np.int16]:
        """(n,)."""


class ProductFiles:
    """Products as rows of the table give them: ids, small photos, texts and fields.

    Args:
        files: the growing files.

    Attributes:
        known: the ids of all products so far.
    """

    def __init__(self, files: GrowingFiles) -> None:
        self._rows = files.bytes_of(ROWS)
        self._photos = files.bytes_of(f"data/{PHOTOS}")
        self._photo_sizes = files.array("spool/photo_bytes", np.int64)
        self._sizes = files.array("data/image_sizes", np.int32, (2,))
        self._skipped = files.bytes_of(SKIPPED)
        self.known = {one["id"] for one in _json_lines(self._rows.read().tobytes())}

    def __len__(self) -> int:
        return self._sizes.rows

    def append(self, row: PhotoRow, photo: SmallPhoto | None, size: tuple[int, int]) -> None:
        """Append a product.

        Args:
            row: what its row says.
            photo: its photo, if it has one.
            size: height and width that its boxes are measured in.
        """
        self.known.add(row.product_id)
        about = {
            "id": row.product_id,
            "text": row.text,
            "split": row.split,
            "queries": row.queries,
            "fields": row.fields,
        }
        self._rows.extend(json.dumps(about, ensure_ascii=False).encode() + b"\n")
        jpeg = photo.jpeg if photo else b""
        self._photos.extend(jpeg)
        self._photo_sizes.append(np.array([len(jpeg)]))
        self._sizes.append(np.array([size]))

    def skip(self, place: int, product_id: str, kind: str, reason: str) -> None:
        """Note a product that is left out: its row, its id, and why."""
        line = "\t".join(" ".join(str(one).split()) for one in (place, product_id, kind, reason))
        self._skipped.extend(line.encode() + b"\n")

    def take_over(self, content: ShardContent, which: Sequence[int]) -> None:
        """Append products of a shard."""
        for product in which:
            self.known.add(content.ids[product])
            self._rows.extend(content.lines[product])
            jpeg = content.jpeg(product)
            self._photos.extend(jpeg)
            self._photo_sizes.append(np.array([len(jpeg)]))
            self._sizes.append(content.sizes[product : product + 1])

    def take_over_skipped(self, content: ShardContent) -> None:
        """Append the notes of a shard about products that it left out."""
        self._skipped.extend(content.skipped)


class ShardContent:
    """The products and regions of a shard, read.

    Args:
        folder: the shard.

    Attributes:
        ids: (P,) product ids.
        lines: (P,) their lines, as `ProductFiles` wrote them.
        sizes: (P, 2) height and width of their photos.
        skipped: the notes about products that were left out.
    """

    def __init__(self, folder: Path) -> None:
        self.lines = (folder / ROWS).read_bytes().splitlines(keepends=True)
        self.ids: list[str] = [json.loads(line)["id"] for line in self.lines]
        self.sizes = np.load(folder / "data" / "image_sizes.npy")
        self.skipped = (folder / SKIPPED).read_bytes()
        self._photos = folder / "data" / PHOTOS
        self._photo_ends = photo_offsets(folder)
        counts = np.load(folder / "spool" / "region_counts.npy")
        self._ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._boxes = np.load(folder / "data" / "boxes.npy", mmap_mode="r")
        self._labels = np.load(folder / "data" / "labels.npy", mmap_mode="r")
        paths = sorted((folder / "data").glob("features-*.npy"))
        self._features = [np.load(path, mmap_mode="r") for path in paths]
        self._starts = np.cumsum([0, *map(len, self._features)])

    def __len__(self) -> int:
        return len(self.lines)

    def jpeg(self, product: int) -> bytes:
        """A product's photo."""
        start, stop = self._photo_ends[product : product + 2].tolist()
        with open(self._photos, "rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def regions(self, product: int, label_numbers: AnyArray | None) -> Regions:
        """A product's regions; labels become ``label_numbers`` of them, where given."""
        start, stop = self._ends[product : product + 2].tolist()
        shard = int(np.searchsorted(self._starts, start, side="right")) - 1
        first = start - int(self._starts[shard])
        labels = self._labels[start:stop]
        return Regions(
            self._boxes[start:stop],
            self._features[shard][first : first + stop - start],
            labels if label_numbers is None else label_numbers[labels],
        )


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of one product as they are stored; see `Described`."""

    boxes: AnyArray
    features: AnyArray
    labels: AnyArray


class RegionFiles:
    """Regions, product after product.

    Args:
        files: the growing files.
        width: F.
        dtype: number format of the features.
        shard_mib: size of a shard of features.
    """

    def __init__(self, files: GrowingFiles, width: int, dtype: str, shard_mib: int) -> None:
        self._features = ShardedFeatures(files, width, dtype, shard_mib)
        self._dtype, self._width = np.dtype(dtype), width
        self._boxes = files.array("data/boxes", np.float32, (4,))
        self._labels = files.array("data/labels", np.int16)
        self._counts = files.array("spool/region_counts", np.int32)

    def append(self, described: Sequence[Described]) -> None:
        """Append the regions of the next products. Raises DataError for what cannot be stored."""
        for one in described:
            self._check(one)
        counts = np.array([len(one.boxes) for one in described], np.int64)
        features = np.concatenate([one.features for one in described])
        self._features.append(features.astype(self._dtype), counts)
        self._boxes.append(np.concatenate([one.boxes for one in described]))
        self._labels.append(np.concatenate([one.labels for one in described]))
        self._counts.append(counts)

    def _check(self, one: Described) -> None:
        count = len(one.boxes)
        if not count or one.features.shape != (count, self._width) or len(one.labels) != count:
            shape = f"{count} boxes, features {one.features.shape}, {len(one.labels)} labels"
            raise DataError(f"regions that do not fit each other ({shape}, width {self._width})")
        largest = float(np.abs(one.features).max(initial=0))
        if not largest <= float(np.finfo(self._dtype).max):
            advice = "--dtype float32 holds more"
            raise DataError(f"a feature of {largest:g} cannot be stored as {self._dtype}; {advice}")


class ProductRows:
    """What was noted of each product, read back.

    Attributes:
        ids: (P,) product ids.
        texts: (P,) what describes each.
        splits: (P,) splits as written in the table.
        queries: (P,) what shoppers found each with.
        fields: (P,) the other columns.
    """

    def __init__(self, partial: Path) -> None:
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.splits: list[str] = []
        self.queries: list[list[str]] = []
        self.fields: list[dict[str, Any]] = []
        for one in _json_lines((partial / ROWS).read_bytes()):
            self.ids.append(one["id"])
            self.texts.append(one["text"])
            self.splits.append(one["split"])
            self.queries.append(one["queries"])
            self.fields.append(one["fields"])

    def __len__(self) -> int:
        return len(self.ids)


def photo_offsets(partial: Path) -> AnyArray:
    """(P + 1,) where each photo begins."""
    sizes = np.load(partial / "spool" / "photo_bytes.npy")
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _json_lines(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.splitlines()] if content else []
