"""A prepared folder, opened: its store, queries, pairs, pools, answers and vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from shopsight.data.photo_store import ProductPhotos, read_fields
from shopsight.data.region_store import RegionBatch, RegionStore
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
REMEDY = "prepare the folder again"
PREPARED = ManifestFormat(
    DATA_FILE, "prepared folder", 2, REMEDY, frozenset({"files", "settings", "splits"})
)
SHARD = ManifestFormat(DATA_FILE, "shard", 2, "prepare the shard again", frozenset({"files"}))


@dataclass(frozen=True)
class QueryTable:
    """A split's queries, each once.

    Attributes:
        ids: query ids.
        texts: their literal texts.
    """

    ids: list[str]
    texts: list[str]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Pairs:
    """Clicked pairs, N of them, in the order of the raw file.

    Attributes:
        queries: (N,) index into the split's `QueryTable`.
        products: (N,) index into the region store.
    """

    queries: IntArray
    products: IntArray

    def __len__(self) -> int:
        return len(self.queries)


class PreparedData:
    """A prepared folder; use `open`.

    Attributes:
        path: the folder.
        manifest: the content of ``data.json``.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a prepared folder; checks that its files are there, at their size.

        Raises:
            DataError: not a prepared folder, of another version, or incomplete.
        """
        folder = Path(path)
        if SHARD.describes(folder):
            raise DataError(f"{folder}: a shard; join all of them with shopsight prepare merge")
        manifest = PREPARED.read(folder)
        check_sizes(folder, manifest["files"], REMEDY)
        return cls(folder, manifest)

    @property
    def splits(self) -> list[str]:
        """The splits that were prepared."""
        return list(self.manifest["splits"])

    @cached_property
    def store(self) -> RegionStore:
        """Every product's regions."""
        return RegionStore(self.path)

    @cached_property
    def photos(self) -> ProductPhotos | None:
        """Every product's photo; None for data that came without photos."""
        return ProductPhotos.of(self.path)

    @cached_property
    def fields(self) -> pa.Table | None:
        """What else is known of each product (title, category, price...); None without."""
        return read_fields(self.path)

    def queries(self, split: str) -> QueryTable:
        """A split's queries. Raises DataError for a split that is not here."""
        table = self._table("queries", split)
        return QueryTable(table["query_id"].to_pylist(), table["text"].to_pylist())

    def pairs(self, split: str = TRAIN) -> Pairs:
        """The clicked pairs of the training split. Raises DataError if there are none."""
        table = self._table("pairs", split)
        return Pairs(
            table["query"].to_numpy().astype(np.int64),
            table["product"].to_numpy().astype(np.int64),
        )

    def pools(self, split: str) -> Pools:
        """The candidates of an evaluation split. Raises DataError if it has none."""
        table = self._table("pools", split)
        queries = table["query"].to_numpy()
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
        from shopsight.text.vocabulary import load_vocabulary

        folder = self.path / "vocabulary"
        if not folder.is_dir():
            raise DataError(f"{self.path}: no vocabulary, since no train split was prepared")
        return load_vocabulary(folder)

    def verify(self) -> None:
        """Compare every file with its checksum. Raises DataError for the first that differs."""
        check_contents(self.path, self.manifest["files"], REMEDY)

    def _qrels_path(self, split: str) -> Path:
        return self.path / f"answers-{split}.json"

    def _table(self, kind: str, split: str) -> pa.Table:
        import pyarrow.parquet as pq

        path = self.path / f"{kind}-{split}.parquet"
        if not path.exists():
            has = ", ".join(self.splits)
            raise DataError(f"{self.path} holds no {kind} of split '{split}' (splits: {has})")
        return pq.read_table(path)
