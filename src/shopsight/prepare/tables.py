"""The files of a prepared folder that are written at the end, whatever it was prepared from."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shopsight.data.dataset import DATA_FILE, PREPARED
from shopsight.data.split_names import TRAIN
from shopsight.formats.atomic import atomic_write, write_json, write_npy
from shopsight.formats.checksums import checksums
from shopsight.formats.manifest import ManifestFormat
from shopsight.text.vocabulary import Vocabulary, train_vocabulary
from shopsight.types import AnyArray, IntArray, Qrels

# The trainer counts words; more queries than this change the vocabulary little, and memory much.
_VOCABULARY_QUERIES = 200_000


@dataclass(frozen=True, eq=False)
class SplitRows:
    """A split as it is written.

    Attributes:
        name: its name.
        query_ids: (Q,) distinct query ids, as text.
        texts: (Q,) their literal texts.
        queries: (N,) which query each row belongs to.
        products: (N,) which product of the store.
        answers: the relevant products, where known.
    """

    name: str
    query_ids: pa.Array
    texts: pa.Array
    queries: NDArray[np.int32]
    products: NDArray[np.int32]
    answers: Qrels | None = None


def write_products(
    data: Path,
    ids: pa.Array,
    counts: AnyArray,
    first_split: AnyArray,
    splits: list[str],
) -> None:
    """``offsets.npy``, ``product_ids.npy`` and ``products.parquet``.

    Args:
        data: the folder, in which ``image_sizes.npy`` is already.
        ids: (P,) product ids, as text.
        counts: (P,) regions of each.
        first_split: (P,) which of ``splits`` each was first met in; a number beyond is none.
        splits: their names.
    """
    write_npy(data / "offsets.npy", np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))
    write_npy(data / "product_ids.npy", np.array([one.encode() for one in ids.to_pylist()]))
    sizes = np.load(data / "image_sizes.npy", mmap_mode="r")
    places = np.asarray(first_split, np.int8)
    dictionary = pa.DictionaryArray.from_arrays(
        pa.array(places, mask=np.asarray(places >= len(splits))), splits
    )
    table = pa.table(
        {
            "product_id": ids,
            "image_h": np.ascontiguousarray(sizes[:, 0]),
            "image_w": np.ascontiguousarray(sizes[:, 1]),
            "regions": np.asarray(counts),
            "first_split": dictionary,
        }
    )
    write_table(data / "products.parquet", table)


def write_split(
    data: Path, split: SplitRows, product_ids: pa.Array, warnings: list[str]
) -> dict[str, int]:
    """A split's queries, its pairs or pools, and its answers; returns counts."""
    name = split.name
    queries = pa.table({"query_id": split.query_ids, "text": split.texts})
    write_table(data / f"queries-{name}.parquet", queries)
    pair_queries, pair_products = split.queries, split.products
    counts = {"rows": len(pair_queries), "queries": len(split.query_ids)}
    if name != TRAIN:
        pair_queries, pair_products = _grouped(name, pair_queries, pair_products, warnings)
    counts["products"] = len(np.unique(pair_products))
    table = pa.table(
        {
            "query": pair_queries,
            "product": pair_products,
            "query_id": pa.DictionaryArray.from_arrays(pair_queries, split.query_ids),
            "product_id": pa.DictionaryArray.from_arrays(pair_products, product_ids),
        }
    )
    kind = "pairs" if name == TRAIN else "pools"
    write_table(data / f"{kind}-{name}.parquet", table)
    if split.answers:
        counts["answered_queries"] = _write_answers(data, name, split.answers, table, warnings)
    return counts


def train_on(texts: pa.Array, size: int) -> Vocabulary:
    """A vocabulary trained on every query, or on evenly spaced ones where there are very many."""
    step = -(-len(texts) // _VOCABULARY_QUERIES)
    sample = texts.take(pa.array(np.arange(0, len(texts), step))) if step > 1 else texts
    return train_vocabulary(each(sample), size)


def each(texts: pa.Array, batch: int = 65_536) -> Iterator[str]:
    """The texts one by one, without all of them in memory as Python strings."""
    for start in range(0, len(texts), batch):
        yield from texts.slice(start, batch).to_pylist()


def region_statistics(data: Path, name_of: Callable[[int], str]) -> dict[str, Any]:
    """How many regions there are, by product and by label, for ``data.json``."""
    counts = np.diff(np.load(data / "offsets.npy"))
    quartiles = np.percentile(counts, [25, 50, 75])
    found: IntArray = np.bincount(np.load(data / "labels.npy", mmap_mode="r"))
    return {
        "total": int(counts.sum()),
        "per_product": {
            "mean": round(float(counts.mean()), 4),
            "sd": round(float(counts.std()), 4),
            "quartiles": [float(one) for one in quartiles],
            "max": int(counts.max()),
        },
        "labels": {
            str(label): {"name": name_of(label), "regions": int(count)}
            for label, count in enumerate(found)
            if count
        },
    }


def grown_in(data: Path, lengths: Collection[str]) -> set[str]:
    """Names of the files in ``data`` that grew while rows streamed by, of all that grew."""
    grown = {Path(name) for name in lengths}
    names = {path.name for path in grown if path.parent.name == data.name}
    return {name if Path(name).suffix else f"{name}.npy" for name in names}


def remove_leftovers(data: Path, kept: Collection[str]) -> None:
    """Remove what an earlier finish that was cut short left in the folder."""
    for path in data.iterdir():
        if path.name in kept:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_manifest(
    data: Path, content: dict[str, Any], manifest: ManifestFormat = PREPARED
) -> None:
    """``data.json``, last of all: sizes and checksums of everything else are in it."""
    names = [path.name for path in data.iterdir() if path.name != DATA_FILE]
    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
    }
    files = dict(sorted(checksums(data, names).items()))
    manifest.write(data, {**content, "versions": versions, "files": files})


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file, whole or not at all."""
    with atomic_write(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")


def _grouped(
    split: str, queries: NDArray[np.int32], products: NDArray[np.int32], warnings: list[str]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Candidates grouped by query, in file order otherwise, each once."""
    order = np.argsort(queries, kind="stable")
    queries, products = queries[order], products[order]
    keys = queries.astype(np.int64) << 32 | products
    _, firsts = np.unique(keys, return_index=True)
    if len(firsts) < len(keys):
        repeated = len(keys) - len(firsts)
        warnings.append(f"{split}: {repeated} candidates stand twice in their pool; kept once")
    firsts.sort()
    return queries[firsts], products[firsts]


def _write_answers(
    data: Path, split: str, qrels: Qrels, pools: pa.Table, warnings: list[str]
) -> int:
    """The answers as competition JSON; warns of answers that the pools do not hold."""
    held = set(zip(pools["query_id"].to_pylist(), pools["product_id"].to_pylist(), strict=True))
    asked = {query for query, _ in held}
    relevant = {
        query: [product for product, grade in grades.items() if grade > 0]
        for query, grades in qrels.relevance.items()
    }
    unknown = sum(query not in asked for query in relevant)
    outside = sum((q, p) not in held for q, products in relevant.items() for p in products)
    unanswered = len(asked - set(relevant))
    for count, what in (
        (unknown, "answered queries are not in the pools"),
        (outside, "answers are not in their query's pool"),
        (unanswered, "queries have no answer"),
    ):
        if count:
            warnings.append(f"{split}: {count} {what}")
    write_json(data / f"answers-{split}.json", relevant, indent=None)
    return len(relevant)
