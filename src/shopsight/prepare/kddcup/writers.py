"""Appending parsed rows: products once each, queries once each, and all pairs."""

from __future__ import annotations

import numpy as np
import xxhash

from shopsight.prepare.journal import AppendableFiles
from shopsight.prepare.kddcup.id_map import IdMap
from shopsight.prepare.kddcup.parser import ParsedRows
from shopsight.prepare.region_writer import RegionWriter
from shopsight.types import BoolArray, IntArray


class ProductWriter:
    """Stores each product at its first appearance."""

    def __init__(self, files: AppendableFiles, width: int, dtype: str, shard_mib: int) -> None:
        self._regions = RegionWriter(files, width, dtype, shard_mib)
        self._sizes = files.array("data/image_sizes", np.int32, (2,))
        self._ids = files.array("spool/product_ids", np.int64)
        self._digests = files.array("spool/digests", np.uint64)
        self._index = IdMap.restore(self._ids.read(), self._digests.read())

    def __len__(self) -> int:
        return len(self._index)

    def append(self, rows: ParsedRows) -> IntArray:
        """Store new products; returns (n,) the product index of each row, -1 for a conflict.

        A row conflicts if its product was stored before with other regions.
        """
        new_row_idx = {int(row): i for i, row in enumerate(rows.new)}
        index = np.full(len(rows.lines), -1, np.int64)
        stored: list[int] = []  # rows whose product is stored now
        keys = zip(rows.product_ids.tolist(), rows.digests.tolist(), strict=True)
        for row, (product_id, digest) in enumerate(keys):
            entry = self._index.get(product_id)
            if entry is None:
                index[row] = self._index.add(product_id, digest)
                stored.append(row)
            elif entry[1] == digest:
                index[row] = entry[0]
        if stored:
            self._store(rows, stored, [new_row_idx[row] for row in stored])
        return index

    def first_split(self, product_id: int, ends: dict[str, int]) -> str | None:
        """The split that a product first appeared in; None if that is still being read.

        ``ends`` is the number of products stored by the end of each split.
        """
        entry = self._index.get(product_id)
        return next((split for split, end in ends.items() if entry and entry[0] < end), None)

    def _store(self, rows: ParsedRows, stored: list[int], new_idx: list[int]) -> None:
        self._ids.append(rows.product_ids[stored])
        self._digests.append(rows.digests[stored])
        self._sizes.append(rows.image_sizes[new_idx])
        counts = rows.region_counts
        features, boxes, labels = rows.features, rows.boxes, rows.labels
        # Each process has its own cache, so a product may have been stored from another's chunk.
        if len(new_idx) < len(counts):
            kept = np.isin(np.repeat(np.arange(len(counts)), counts), new_idx)
            features, boxes, labels = features[kept], boxes[kept], labels[kept]
        self._regions.append(features, boxes, labels, counts[new_idx])


class PairWriter:
    """Stores a split's queries once each, and every (query, product) pair in row order.

    Attributes:
        changed: rows whose query id had another text before; the first text is kept.
    """

    def __init__(self, files: AppendableFiles, split: str, changed: int = 0) -> None:
        self._ids = files.array(f"spool/query_ids-{split}", np.int64)
        self._digests = files.array(f"spool/query_digests-{split}", np.uint64)
        self._lengths = files.array(f"spool/query_lengths-{split}", np.int32)
        self._text = files.array(f"spool/query_text-{split}", np.uint8)
        self._pair_queries = files.array(f"spool/pair_queries-{split}", np.int32)
        self._pair_products = files.array(f"spool/pair_products-{split}", np.int32)
        self._index = IdMap.restore(self._ids.read(), self._digests.read())
        self.changed = changed

    def append(self, rows: ParsedRows, products: IntArray, kept: BoolArray) -> None:
        """Store the rows marked in ``kept`` (n,), whose products are ``products`` (n,)."""
        new: list[int] = []
        digests: list[int] = []
        index = np.empty(len(rows.lines), np.int64)
        query_ids = rows.query_ids.tolist()
        for row in np.flatnonzero(kept).tolist():
            digest = xxhash.xxh3_64_intdigest(rows.queries[row])
            entry = self._index.get(query_ids[row])
            if entry is None:
                index[row] = self._index.add(query_ids[row], digest)
                new.append(row)
                digests.append(digest)
                continue
            index[row] = entry[0]
            self.changed += entry[1] != digest
        texts = [rows.queries[row] for row in new]
        self._ids.append(rows.query_ids[new])
        self._digests.append(np.array(digests, np.uint64))
        self._lengths.append(np.array([len(text) for text in texts], np.int32))
        self._text.append(np.frombuffer(b"".join(texts), np.uint8))
        self._pair_queries.append(index[kept])
        self._pair_products.append(products[kept])
