"""Files of a prepared folder that are written at the end, whatever it was prepared from."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shopsight.config.data import ImportConfig
from shopsight.data.dataset import DATA_FILE, PREPARED
from shopsight.data.split_names import TRAIN
from shopsight.errors import InputError
from shopsight.formats.atomic import atomic_write, write_json, write_npy
from shopsight.formats.checksums import checksums
from shopsight.formats.content import read_text
from shopsight.formats.manifest import ManifestFormat
from shopsight.text.query_stats import describe_queries
from shopsight.text.stopwords import TOKEN_MARKS, parse_stop_words
from shopsight.text.vocabulary import Vocabulary, load_vocabulary, train_vocabulary
from shopsight.types import AnyArray, IntArray, Qrels

# The trainer counts words; more queries than this change the vocabulary little, and memory much.
_VOCABULARY_QUERIES = 200_000


@dataclass(frozen=True, eq=False)
class SplitRows:
    """A split as it is written: Q queries and N (query, product) pairs."""

    name: str
    query_ids: pa.Array  # (Q,) distinct, as text
    texts: pa.Array  # (Q,) literal
    queries: NDArray[np.int32]  # (N,) index of each pair's query
    products: NDArray[np.int32]  # (N,) index of its product in the store
    qrels: Qrels | None = None


MakeVocabulary = Callable[[pa.Array], Vocabulary]
"""The vocabulary of a prepared folder from its training queries."""


def vocabulary_maker(config: ImportConfig) -> MakeVocabulary:
    """Read the configured tokenizer and stop words, so that an error in them costs no time.

    Raises:
        DataError: no such tokenizer.
        InputError: no such file of stop words, or not one word a line.
    """
    loaded = load_vocabulary(config.tokenizer) if config.tokenizer else config.vocabulary_size
    stop = None
    if config.stop_words is not None:
        stop = frozenset[str]() if config.stop_words == "none" else _stop_words(config.stop_words)
    return partial(_vocabulary, loaded, stop)


def _stop_words(path: str) -> frozenset[str]:
    words = parse_stop_words(read_text(path))
    for word in sorted(words):
        if len(word.split()) > 1:
            raise InputError(f"'{word[:50]}' is more than one word; write one a line", path=path)
    if not words:
        raise InputError("no stop word in it; --stop-words none leaves none out", path=path)
    return words | TOKEN_MARKS


def write_products(
    data: Path, ids: pa.Array, counts: AnyArray, first_split: AnyArray, splits: list[str]
) -> None:
    """Write ``offsets.npy``, ``product_ids.npy`` and ``products.parquet`` of P products.

    ``counts`` (P,) are numbers of regions. ``first_split`` (P,) is an index into ``splits``; a
    larger number means no split. ``image_sizes.npy`` must exist already.
    """
    write_store(data, ids.to_pylist(), counts)
    sizes = np.load(data / "image_sizes.npy", mmap_mode="r")
    index = np.asarray(first_split, np.int8)
    split_names = pa.DictionaryArray.from_arrays(
        pa.array(index, mask=np.asarray(index >= len(splits))), splits
    )
    table = pa.table(
        {
            "product_id": ids,
            "image_h": np.ascontiguousarray(sizes[:, 0]),
            "image_w": np.ascontiguousarray(sizes[:, 1]),
            "regions": np.asarray(counts),
            "first_split": split_names,
        }
    )
    write_table(data / "products.parquet", table)


def write_store(data: Path, ids: Iterable[str], counts: AnyArray) -> None:
    """Write the files that make the append-only ones a `RegionStore` of (P,) products."""
    write_npy(data / "offsets.npy", np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))
    # Fixed-width bytes can be memory-mapped and searched without an object per id.
    write_npy(data / "product_ids.npy", np.array([text.encode() for text in ids]))


def write_splits(
    data: Path,
    splits: Iterable[SplitRows],
    product_ids: pa.Array,
    vocabulary: MakeVocabulary,
    warnings: list[str],
) -> dict[str, Any]:
    """Write all splits and the vocabulary; returns their counts and query statistics.

    Notes for the user are appended to ``warnings``.
    """
    counts, texts = {}, []
    for split in splits:
        counts[split.name] = _write_split(data, split, product_ids, warnings)
        texts.append(split.texts)
        if split.name == TRAIN:
            vocabulary(split.texts).save(data / "vocabulary")
    statistics = describe_queries(text for queries in texts for text in _strings(queries))
    return {"splits": counts, "queries": statistics}


def write_prepared(data: Path, content: dict[str, Any], label_names: Mapping[int, str]) -> None:
    """Write the manifest of a prepared folder, with numbers of regions by product and label."""
    counts = np.diff(np.load(data / "offsets.npy"))
    by_label: IntArray = np.bincount(np.load(data / "labels.npy", mmap_mode="r"))
    regions = {
        "total": int(counts.sum()),
        "per_product": {
            "mean": round(float(counts.mean()), 4),
            "sd": round(float(counts.std()), 4),
            "quartiles": np.percentile(counts, [25, 50, 75]).tolist(),
            "max": int(counts.max()),
        },
        "labels": {
            str(label): {"name": label_names.get(label, ""), "regions": int(count)}
            for label, count in enumerate(by_label)
            if count
        },
    }
    write_manifest(data, {**content, "products": len(counts), "regions": regions})


def remove_leftovers(data: Path, lengths: Collection[str]) -> None:
    """Remove the files of an interrupted final step: all but the append-only files."""
    kept = {Path(name) for name in lengths if Path(name).parent.name == data.name}
    names = {path.name if path.suffix else f"{path.name}.npy" for path in kept}
    for path in data.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in names:
            path.unlink()


def write_manifest(
    data: Path, content: dict[str, Any], manifest: ManifestFormat = PREPARED
) -> None:
    """Write ``data.json``, which must come last: it has sizes and checksums of all other files."""
    names = [path.name for path in data.iterdir() if path.name != DATA_FILE]
    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
    }
    files = dict(sorted(checksums(data, names).items()))
    manifest.write(data, {**content, "versions": versions, "files": files})


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file atomically."""
    with atomic_write(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")


def _write_split(
    data: Path, split: SplitRows, product_ids: pa.Array, warnings: list[str]
) -> dict[str, int]:
    """Write queries, pairs (train) or pools (evaluation), and qrels; returns counts."""
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
    if split.qrels:
        counts["answered_queries"] = _write_qrels(data, name, split.qrels, table, warnings)
    return counts


def _grouped(
    split: str, queries: NDArray[np.int32], products: NDArray[np.int32], warnings: list[str]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Candidates grouped by query, otherwise in file order, without duplicates."""
    # A stable sort keeps the order of the file, which ties in rankings fall back to.
    order = np.argsort(queries, kind="stable")
    queries, products = queries[order], products[order]
    keys = queries.astype(np.int64) << 32 | products
    _, firsts = np.unique(keys, return_index=True)
    if len(firsts) < len(keys):
        repeated = len(keys) - len(firsts)
        warnings.append(f"{split}: {repeated} duplicate candidates of a query dropped")
    firsts.sort()
    return queries[firsts], products[firsts]


def _write_qrels(data: Path, split: str, qrels: Qrels, pools: pa.Table, warnings: list[str]) -> int:
    """Write qrels as competition JSON; warns of relevant products outside the pools."""
    candidates = set(
        zip(pools["query_id"].to_pylist(), pools["product_id"].to_pylist(), strict=True)
    )
    queries = {query for query, _ in candidates}
    relevant = {
        query: [product for product, grade in grades.items() if grade > 0]
        for query, grades in qrels.relevance.items()
    }
    unknown = sum(query not in queries for query in relevant)
    outside = sum((q, p) not in candidates for q, products in relevant.items() for p in products)
    for count, problem in (
        (unknown, "answered queries are not in the pools"),
        (outside, "answers are not in their query's pool"),
        (len(queries - set(relevant)), "queries have no answer"),
    ):
        if count:
            warnings.append(f"{split}: {count} {problem}")
    write_json(data / f"answers-{split}.json", relevant, indent=None)
    return len(relevant)


def _vocabulary(
    loaded: Vocabulary | int, stop: frozenset[str] | None, texts: pa.Array
) -> Vocabulary:
    """The loaded vocabulary, or one of a size trained on evenly spaced queries."""
    if isinstance(loaded, int):
        step = -(-len(texts) // _VOCABULARY_QUERIES)
        sample = texts.take(pa.array(np.arange(0, len(texts), step))) if step > 1 else texts
        loaded = train_vocabulary(_strings(sample), loaded)
    return loaded if stop is None else loaded.with_stop_words(stop)


def _strings(texts: pa.Array, batch: int = 65_536) -> Iterator[str]:
    """The texts in batches: millions of Python strings at once would fill the memory."""
    for start in range(0, len(texts), batch):
        yield from texts.slice(start, batch).to_pylist()
