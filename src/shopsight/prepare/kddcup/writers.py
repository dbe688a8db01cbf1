"""Appending parsed rows to the growing files: products once each, queries once each, pairs."""

from __future__ import annotations

import numpy as np
import xxhash

from shopsight.formats.append_npy import AppendableArray
from shopsight.prepare.journal import GrowingFiles
from shopsight.prepare.kddcup.id_map import KnownIds
from shopsight.prepare.kddcup.parser import ParsedRows
from shopsight.types import AnyArray, BoolArray, IntArray

MIB = 1 << 20


class ShardedFeatures:
    """Region features in shards of bounded size; a product never straddles two shards."""

    def __init__(self, files: GrowingFiles, width: int, dtype: str, shard_mib: int) -> None:
        self._files, self._width, self._dtype = files, width, dtype
        self._limit = max(shard_mib * MIB // (width * np.dtype(dtype).itemsize), 1)
        shards = [name for name in files.lengths() if name.startswith("data/features-")]
        self._shard = self._open(max(len(shards) - 1, 0))

    def append(self, features: AnyArray, counts: IntArray) -> None:
        """Append regions (R, F) of products with ``counts`` (m,) regions each."""
        ends = np.cumsum(counts)
        start = 0  # regions written so far
        while start < len(features):
            room = self._limit - self._shard.rows
            fit = int(np.searchsorted(ends, start + room, side="right"))
            stop = int(ends[fit - 1]) if fit else 0
            if stop <= start and self._shard.rows:
                number = int(self._shard.path.stem.rpartition("-")[2])
                self._shard = self._open(number + 1)
                continue
            if stop <= start:  # one product larger than a shard has a shard of its own
                stop = int(ends[np.searchsorted(ends, start, side="right")])
            self._shard.append(features[start:stop])
            start = stop

    def _open(self, number: int) -> AppendableArray:
        return self._files.array(f"data/features-{number:05d}", self._dtype, (self._width,))


class ProductWriter:
    """Stores each product at its first appearance."""

    def __init__(self, files: GrowingFiles, width: int, dtype: str, shard_mib: int) -> None:
        self._features = ShardedFeatures(files, width, dtype, shard_mib)
        self._boxes = files.array("data/boxes", np.float32, (4,))
        self._labels = files.array("data/labels", np.int16)
        self._sizes = files.array("data/image_sizes", np.int32, (2,))
        self._counts = files.array("spool/region_counts", np.int32)
        self._ids = files.array("spool/product_ids", np.int64)
        self._digests = files.array("spool/digests", np.uint64)
        self._known = KnownIds.restored(self._ids.read(), self._digests.read())

    def __len__(self) -> int:
        return len(self._known)

    def append(self, rows: ParsedRows) -> IntArray:
        """Store what is new; returns (n,) each row's product index, -1 for a conflict.

        A row is in conflict when its product was met before with other regions.
        """
        place_of_new = {int(row): place for place, row in enumerate(rows.new)}
        index = np.full(len(rows.lines), -1, np.int64)
        stored: list[int] = []  # rows whose product is stored now
        keys = zip(rows.product_ids.tolist(), rows.digests.tolist(), strict=True)
        for row, (product_id, digest) in enumerate(keys):
            known = self._known.get(product_id)
            if known is None:
                index[row] = self._known.add(product_id, digest)
                stored.append(row)
            elif known[1] == digest:
                index[row] = known[0]
        self._store(rows, stored, [place_of_new[row] for row in stored])
        return index

    def first_split(self, product_id: int, ends: dict[str, int]) -> str | None:
        """The split that a product was first met in; None if in one that is not ended yet.

        Args:
            product_id: a product that is stored.
            ends: products stored by the end of each split.
        """
        known = self._known.get(product_id)
        return next((split for split, end in ends.items() if known and known[0] < end), None)

    def _store(self, rows: ParsedRows, stored: list[int], places: list[int]) -> None:
        self._ids.append(rows.product_ids[stored])
        self._digests.append(rows.digests[stored])
        self._sizes.append(rows.image_sizes[places])
        counts = rows.region_counts
        self._counts.append(counts[places])
        features, boxes, labels = rows.features, rows.boxes, rows.labels
        if len(places) < len(counts):  # some were stored before, by another process's account
            wanted = np.isin(np.repeat(np.arange(len(counts)), counts), places)
            features, boxes, labels = features[wanted], boxes[wanted], labels[wanted]
        self._features.append(features, counts[places])
        self._boxes.append(boxes)
        self._labels.append(labels)


class PairWriter:
    """Stores a split's queries once each, and every (query, product) pair in row order.

    Attributes:
        changed: rows whose query id was met before with another text; the first text stays.
    """

    def __init__(self, files: GrowingFiles, split: str, changed: int = 0) -> None:
        self._ids = files.array(f"spool/query_ids-{split}", np.int64)
        self._digests = files.array(f"spool/query_digests-{split}", np.uint64)
        self._lengths = files.array(f"spool/query_lengths-{split}", np.int32)
        self._text = files.array(f"spool/query_text-{split}", np.uint8)
        self._pair_queries = files.array(f"spool/pair_queries-{split}", np.int32)
        self._pair_products = files.array(f"spool/pair_products-{split}", np.int32)
        self._known = KnownIds.restored(self._ids.read(), self._digests.read())
        self.changed = changed

    def append(self, rows: ParsedRows, products: IntArray, kept: BoolArray) -> None:
        """Store the rows marked in ``kept`` (n,), whose products are ``products`` (n,)."""
        new: list[int] = []
        digests: list[int] = []
        index = np.empty(len(rows.lines), np.int64)
        query_ids = rows.query_ids.tolist()
        for row in np.flatnonzero(kept).tolist():
            digest = xxhash.xxh3_64_intdigest(rows.queries[row])
            known = self._known.get(query_ids[row])
            if known is None:
                index[row] = self._known.add(query_ids[row], digest)
                new.append(row)
                digests.append(digest)
                continue
            index[row] = known[0]
            self.changed += known[1] != digest
        texts = [rows.queries[row] for row in new]
        self._ids.append(rows.query_ids[new])
        self._digests.append(np.array(digests, np.uint64))
        self._lengths.append(np.array([len(text) for text in texts], np.int32))
        self._text.append(np.frombuffer(b"".join(texts), np.uint8))
        self._pair_queries.append(index[kept])
        self._pair_products.append(products[kept])
