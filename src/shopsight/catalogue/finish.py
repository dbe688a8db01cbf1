"""The last step of a preparation: tables, vocabulary and ``data.json`` from what was spooled.

Everything here is made anew from the growing files, so it may be cut short and repeated.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shopsight import __version__
from shopsight.catalogue.data import DATA_FILE, FORMAT, FORMAT_VERSION, checksums
from shopsight.catalogue.ingest_state import IngestState, SmallInputs
from shopsight.catalogue.splits import TRAIN, RawFolder
from shopsight.config import KddcupConfig
from shopsight.errors import InputError
from shopsight.formats.atomic import replacing
from shopsight.formats.kddcup_rows import KINDS
from shopsight.text.oddities import describe_queries
from shopsight.text.vocabulary import Vocabulary, train_vocabulary
from shopsight.types import AnyArray, IntArray, Qrels

# The trainer counts words; more queries than this change the vocabulary little, and memory much.
_VOCABULARY_QUERIES = 200_000


def finish(
    partial: Path,
    state: IngestState,
    folder: RawFolder,
    inputs: SmallInputs,
    config: KddcupConfig,
) -> None:
    """Complete ``partial/data`` from ``partial/spool``.

    Raises:
        InputError: no row at all was good.
    """
    data, spool = partial / "data", partial / "spool"
    if not sum(state.rows.values()):
        raise _nothing_good(state, folder)
    _remove_leftovers(data, state)
    warnings = _raw_warnings(state, inputs.labels)
    ids = _write_products(data, spool, state)
    splits: dict[str, Any] = {}
    texts: list[pa.Array] = []
    for split in folder.splits:
        if state.rows.get(split.name):
            answers = inputs.answers.get(split.name)
            splits[split.name] = _write_split(data, spool, split.name, ids, answers, warnings)
            texts.append(_texts(spool, split.name))
            if split.name == TRAIN:
                vocabulary = inputs.vocabulary or _train_vocabulary(texts[-1], config)
                vocabulary.save(data / "vocabulary")
    summary = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "made_by": f"shopsight {__version__}",
        "fingerprint": state.fingerprint,
        "settings": asdict(replace(config, workers=0)),
        "feature_width": state.feature_width,
        "splits": splits,
        "products": len(ids),
        "regions": _region_statistics(data, inputs.labels),
        "queries": describe_queries(text for one in texts for text in _each(one)),
        "skipped": _skipped(state),
        "warnings": warnings,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
    }
    _write_summary(data, summary)


def _remove_leftovers(data: Path, state: IngestState) -> None:
    """Remove what an earlier finish that was cut short left in the folder."""
    growing = {f"{name}.npy" for name in state.lengths}
    for path in data.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif f"data/{path.name}" not in growing:
            path.unlink()


def _load(spool: Path, name: str) -> AnyArray:
    path = spool / f"{name}.npy"
    loaded: AnyArray = np.load(path, mmap_mode="r") if path.stat().st_size > 128 else np.load(path)
    return loaded


def _write_products(data: Path, spool: Path, state: IngestState) -> pa.Array:
    """``offsets.npy``, ``product_ids.npy`` and ``products.parquet``; returns the ids."""
    counts = _load(spool, "region_counts")
    _write_array(data / "offsets.npy", np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))
    numbers = _load(spool, "product_ids")
    width = len(str(int(numbers.max())))
    _write_array(data / "product_ids.npy", numbers.astype("S20").astype(f"S{width}"))
    ids = pa.array(numbers).cast(pa.string())
    sizes = np.load(data / "image_sizes.npy", mmap_mode="r")
    ends = np.array(list(state.products.values()))
    first_split = np.searchsorted(ends, np.arange(len(numbers)), side="right")
    splits = pa.DictionaryArray.from_arrays(first_split.astype(np.int8), list(state.products))
    table = pa.table(
        {
            "product_id": ids,
            "image_h": np.ascontiguousarray(sizes[:, 0]),
            "image_w": np.ascontiguousarray(sizes[:, 1]),
            "regions": np.asarray(counts),
            "first_split": splits,
        }
    )
    _write_table(data / "products.parquet", table)
    return ids


def _write_split(
    data: Path,
    spool: Path,
    split: str,
    product_ids: pa.Array,
    answers: Qrels | None,
    warnings: list[str],
) -> dict[str, int]:
    """A split's queries, its pairs or pools, and its answers; returns counts."""
    query_ids = pa.array(_load(spool, f"query_ids-{split}")).cast(pa.string())
    queries = pa.table({"query_id": query_ids, "text": _texts(spool, split)})
    _write_table(data / f"queries-{split}.parquet", queries)
    pair_queries = np.asarray(_load(spool, f"pair_queries-{split}"))
    pair_products = np.asarray(_load(spool, f"pair_products-{split}"))
    counts = {"rows": len(pair_queries), "queries": len(query_ids)}
    if split != TRAIN:
        pair_queries, pair_products = _grouped(split, pair_queries, pair_products, warnings)
    counts["products"] = len(np.unique(pair_products))
    table = pa.table(
        {
            "query": pair_queries,
            "product": pair_products,
            "query_id": pa.DictionaryArray.from_arrays(pair_queries, query_ids),
            "product_id": pa.DictionaryArray.from_arrays(pair_products, product_ids),
        }
    )
    kind = "pairs" if split == TRAIN else "pools"
    _write_table(data / f"{kind}-{split}.parquet", table)
    if answers:
        counts["answered_queries"] = _write_answers(data, split, answers, table, warnings)
    return counts


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


def _texts(spool: Path, split: str) -> pa.Array:
    lengths = _load(spool, f"query_lengths-{split}")
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    text = np.asarray(_load(spool, f"query_text-{split}"))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.LargeStringArray.from_buffers(len(lengths), buffers[1], buffers[2])


def _each(texts: pa.Array, batch: int = 65_536) -> Iterator[str]:
    """The texts one by one, without all of them in memory as Python strings."""
    for start in range(0, len(texts), batch):
        yield from texts.slice(start, batch).to_pylist()


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
    with replacing(data / f"answers-{split}.json") as file:
        json.dump(relevant, file)
    return len(relevant)


def _train_vocabulary(texts: pa.Array, config: KddcupConfig) -> Vocabulary:
    """Train on every query, or on evenly spaced ones where there are very many."""
    step = -(-len(texts) // _VOCABULARY_QUERIES)
    sample = texts.take(pa.array(np.arange(0, len(texts), step))) if step > 1 else texts
    return train_vocabulary(_each(sample), config.vocabulary_size)


def _nothing_good(state: IngestState, folder: RawFolder) -> InputError:
    firsts = [entry["first"] for kinds in state.skipped.values() for entry in kinds.values()]
    reason = "no good row in any split, so there is nothing to prepare"
    first = f" (the first bad one: {firsts[0]})" if firsts else ""
    return InputError(reason + first, path=folder.splits[0].path, line=1)


def _raw_warnings(state: IngestState, labels: dict[int, str] | None) -> list[str]:
    warnings = [] if labels else ["no label file: class labels were not checked"]
    warnings += [f"{split}: the last line has no line end" for split in state.open_ended]
    for split, count in state.changed_queries.items():
        if count:
            reason = "rows give their query id another text than before; the first text is kept"
            warnings.append(f"{split}: {count} {reason}")
    return warnings


def _skipped(state: IngestState) -> dict[str, Any]:
    """Rows left out, by split and kind, with what the kind means and the first of it."""
    return {
        split: {kind: {"meaning": KINDS[kind], **entry} for kind, entry in kinds.items()}
        for split, kinds in state.skipped.items()
    }


def _region_statistics(data: Path, labels: dict[int, str] | None) -> dict[str, Any]:
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
            str(label): {"name": (labels or {}).get(label, ""), "regions": int(count)}
            for label, count in enumerate(found)
            if count
        },
    }


def _write_summary(data: Path, summary: dict[str, Any]) -> None:
    """``data.json``, last of all: sizes and checksums of everything else are in it."""
    paths = sorted(path for path in data.rglob("*") if path.is_file() and path.name != DATA_FILE)
    names = [str(path.relative_to(data)) for path in paths]
    summary["files"] = {
        name: {"bytes": path.stat().st_size, "sha256": digest}
        for name, path, digest in zip(names, paths, checksums(data, names), strict=True)
    }
    with replacing(data / DATA_FILE) as file:
        json.dump(summary, file, indent=1, ensure_ascii=False)
        file.write("\n")


def _write_array(path: Path, array: AnyArray) -> None:
    with replacing(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def _write_table(path: Path, table: pa.Table) -> None:
    with replacing(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")
