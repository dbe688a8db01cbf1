"""Appending parsed rows: products once each, queries once each, and all pairs."""

from __future__ import annotations

from array import array

import numpy as np
import xxhash

from shopsight.formats.append_npy import AppendableArray
from shopsight.prepare.journal import AppendableFiles
from shopsight.prepare.kddcup.parser import ParsedRows
from shopsight.prepare.region_writer import RegionWriter
from shopsight.types import BoolArray, IntArray


class _StoredIds:
    """Ids with a 64-bit digest of what they stand for, in order of arrival; 120 bytes an id."""

    def __init__(self, ids: AppendableArray, digests: AppendableArray) -> None:
        self._id_file, self._digest_file = ids, digests
        self.index = {key: i for i, key in enumerate(ids.read().tolist())}
        self._digests = array("Q", digests.read().tobytes())

    def digest(self, key: int) -> int | None:
        """The digest of a stored id."""
        index = self.index.get(key)
        return None if index is None else self._digests[index]

    def add(self, key: int, digest: int) -> bool:
        """Add an id unless it is stored already; returns whether it was added."""
        if key in self.index:
            return False
        self._digests.append(digest)  # first: other threads look digests up by the index
        self.index[key] = len(self.index)
        return True

    def write(self, ids: list[int]) -> None:
        """Append ids to the files."""
        self._id_file.append(np.array(ids, np.int64))
        self._digest_file.append(np.array([self.digest(key) for key in ids], np.uint64))


class ProductWriter:
    """Stores each product at its first appearance."""

    def __init__(self, files: AppendableFiles, width: int, dtype: str, shard_mib: int) -> None:
        self._regions = RegionWriter(files, width, dtype, shard_mib)
        self._sizes = files.array("data/image_sizes", np.int32, (2,))
        self._stored = _StoredIds(
            files.array("spool/product_ids", np.int64), files.array("spool/digests", np.uint64)
        )
        self.digest = self._stored.digest

    def __len__(self) -> int:
        return len(self._stored.index)

    def append(self, rows: ParsedRows) -> IntArray:
        """Store new products; returns (n,) the product index of each row, -1 for a conflict.

        A row conflicts if its product was stored before with other regions.
        """
        ids, digests = rows.product_ids.tolist(), rows.digests.tolist()
        added = [
            row
            for row, pair in enumerate(zip(ids, digests, strict=True))
            if self._stored.add(*pair)
        ]
        if added:
            self._store(rows, added)
        return np.array(
            [
                self._stored.index[key] if self.digest(key) == digest else -1
                for key, digest in zip(ids, digests, strict=True)
            ],
            np.int64,
        )

    def first_split(self, product_id: int, ends: dict[str, int]) -> str | None:
        """The split that a stored product first appeared in; None if that is still being read.

        ``ends`` is the number of products stored by the end of each split.
        """
        index = self._stored.index[product_id]
        return next((split for split, end in ends.items() if index < end), None)

    def _store(self, rows: ParsedRows, added: list[int]) -> None:
        self._stored.write(rows.product_ids[added].tolist())
        new_idx = np.searchsorted(rows.new, added)
        self._sizes.append(rows.image_sizes[new_idx])
        counts = rows.region_counts
        features, boxes, labels = rows.features, rows.boxes, rows.labels
        # Chunks are parsed ahead, so a product may have been stored from an earlier one meanwhile.
        if len(new_idx) < len(counts):
            kept = np.isin(np.repeat(np.arange(len(counts)), counts), new_idx)
            features, boxes, labels = features[kept], boxes[kept], labels[kept]
        self._regions.append(features, boxes, labels, counts[new_idx])


class PairWriter:
    """Stores a split's queries once each, and every (query, product) pair in row order.

    ``changed`` counts rows whose query id had another text before; the first text is kept.
    """

    def __init__(self, files: AppendableFiles, split: str, changed: int = 0) -> None:
        self._queries = _StoredIds(
            files.array(f"spool/query_ids-{split}", np.int64),
            files.array(f"spool/query_digests-{split}", np.uint64),
        )
        self._lengths = files.array(f"spool/query_lengths-{split}", np.int32)
        self._text = files.array(f"spool/query_text-{split}", np.uint8)
        self._pair_queries = files.array(f"spool/pair_queries-{split}", np.int32)
        self._pair_products = files.array(f"spool/pair_products-{split}", np.int32)
        self.changed = changed

    def append(self, rows: ParsedRows, products: IntArray, kept: BoolArray) -> None:
        """Store the rows marked in ``kept`` (n,), whose products are ``products`` (n,)."""
        query_ids = rows.query_ids[kept].tolist()
        texts: dict[int, bytes] = {}
        for query_id, row in zip(query_ids, np.flatnonzero(kept).tolist(), strict=True):
            digest = xxhash.xxh3_64_intdigest(rows.queries[row])
            if self._queries.add(query_id, digest):
                texts[query_id] = rows.queries[row]
            self.changed += self._queries.digest(query_id) != digest
        self._queries.write(list(texts))
        self._lengths.append(np.array([len(text) for text in texts.values()], np.int32))
        self._text.append(np.frombuffer(b"".join(texts.values()), np.uint8))
        self._pair_queries.append(np.array([self._queries.index[key] for key in query_ids]))
        self._pair_products.append(products[kept])
