"""The prepared data set: regions, queries, clicked pairs, candidate pools, judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from shopsight.data.photo_store import ProductPhotos, read_fields
from shopsight.data.region_store import REMEDY, RegionBatch, RegionStore
from shopsight.data.split_names import TRAIN
from shopsight.errors import DataError
from shopsight.formats.checksums import check_contents, check_sizes
from shopsight.formats.manifest import ManifestFormat
from shopsight.formats.qrels import read_qrels
from shopsight.types import IntArray, Pools, Qrels

if TYPE_CHECKING:
    import pyarrow as pa

    from shopsight.text.vocabulary import Vocabulary

DATA_FILE = "data.json"
PREPARED = ManifestFormat(
    DATA_FILE, "prepared folder", 2, REMEDY, frozenset({"files", "settings", "splits"})
)
SHARD = ManifestFormat(DATA_FILE, "shard", 3, "prepare the shard again", frozenset({"files"}))


@dataclass(frozen=True)
class QueryTable:
    """The distinct queries of a split: ids and literal texts."""

    ids: list[str]
    texts: list[str]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Pairs:
    """N clicked pairs in the order of the raw file."""

    queries: IntArray  # (N,) indices into the split's `QueryTable`
    products: IntArray  # (N,) indices into the region store

    def __len__(self) -> int:
        return len(self.queries)


class PreparedData:
    """A prepared folder, read on demand; made by `open`.

    ``manifest`` is the content of ``data.json``: counts, settings, versions, checksums.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a prepared folder and check that its files exist and have their size.

        Raises:
            DataError: not a prepared folder, of another version, or incomplete.
        """
        folder = Path(path)
        if SHARD.describes(folder):
            raise DataError(f"{folder}: a shard; join all of them with shopsight prepare merge")
        manifest = PREPARED.read(folder)
        # Checksums would read every byte; sizes catch the usual accident, an interrupted copy.
        check_sizes(folder, manifest["files"], REMEDY)
        return cls(folder, manifest)

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self.manifest["splits"])

    @cached_property
    def store(self) -> RegionStore:
        """The regions of all products."""
        return RegionStore(self.path)

    @cached_property
    def photos(self) -> ProductPhotos | None:
        """The photos of all products; None for data without photos."""
        return ProductPhotos.of(self.path)

    @cached_property
    def fields(self) -> pa.Table | None:
        """Further columns of the products (title, category, price...), in store order, if any."""
        return read_fields(self.path)

    def queries(self, split: str) -> QueryTable:
        """The queries of a split. Raises DataError for an unknown split."""
        table = self._table("queries", split)
        return QueryTable(table["query_id"].to_pylist(), table["text"].to_pylist())

    def pairs(self, split: str = TRAIN) -> Pairs:
        """The clicked pairs of a split. Raises DataError if it has none."""
        table = self._table("pairs", split)
        return Pairs(*(table[name].to_numpy().astype(np.int64) for name in ("query", "product")))

    def pools(self, split: str) -> Pools:
        """The candidate pools of an evaluation split. Raises DataError if it has none."""
        table = self._table("pools", split)
        queries = table["query"].to_numpy()
        # The rows of a query are adjacent.
        firsts = np.flatnonzero(np.diff(queries, prepend=-1))
        ids = table["query_id"].take(firsts).to_pylist()
        offsets = np.append(firsts, len(queries)).astype(np.int64)
        return Pools(tuple(ids), offsets, np.array(table["product_id"].to_pylist(), object))

    def has_qrels(self, split: str) -> bool:
        """Whether the split has relevance judgements."""
        return self._qrels_path(split).is_file()

    def qrels(self, split: str) -> Qrels:
        """Relevance judgements of a split. Raises DataError if it has none."""
        if not self.has_qrels(split):
            raise DataError(
                f"{self.path}: split '{split}' has no relevance judgements; prepare it with"
                f" {split}_answer.json beside its raw file"
            )
        return read_qrels(self._qrels_path(split))

    @cached_property
    def products(self) -> list[str]:
        """The P product ids, in the order of the region store."""
        return self.store.product_ids

    def regions(self, product_ids: Sequence[str]) -> RegionBatch:
        """The regions of products, packed. Raises DataError for an unknown id."""
        return self.store.read(self.store.index_of(product_ids))

    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the training queries. Raises DataError if there is none."""
        # The tokenizers library takes longer to import than the rest of this module.
        from shopsight.text.vocabulary import load_vocabulary

        folder = self.path / "vocabulary"
        if not folder.is_dir():
            raise DataError(f"{self.path}: no vocabulary, because no train split was prepared")
        return load_vocabulary(folder)

    def verify(self) -> None:
        """Compare every file with its checksum. Raises DataError for the first difference."""
        check_contents(self.path, self.manifest["files"], REMEDY)

    def _qrels_path(self, split: str) -> Path:
        return self.path / f"answers-{split}.json"

    def _table(self, kind: str, split: str) -> pa.Table:
        import pyarrow.parquet as pq

        path = self.path / f"{kind}-{split}.parquet"
        if not path.exists():
            has = ", ".join(self.splits)
            raise DataError(f"{self.path} has no {kind} of split '{split}' (splits: {has})")
        return pq.read_table(path)
