"""The last step of a preparation: tables, vocabulary and ``data.json`` from what was spooled.

Everything here is made anew from the growing files, so it may be cut short and repeated.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shopsight.config import KddcupConfig
from shopsight.data.split_names import TRAIN
from shopsight.errors import InputError
from shopsight.prepare.kddcup.raw_folder import RawFolder
from shopsight.prepare.kddcup.rows import KINDS
from shopsight.prepare.kddcup.state import IngestState, SmallInputs
from shopsight.prepare.tables import (
    SplitRows,
    each,
    grown_in,
    region_statistics,
    remove_leftovers,
    train_on,
    write_manifest,
    write_products,
    write_split,
)
from shopsight.text.query_stats import describe_queries
from shopsight.types import AnyArray, Qrels


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
    remove_leftovers(data, grown_in(data, state.lengths))
    warnings = _raw_warnings(state, inputs.labels)
    ids = _write_products(data, spool, state)
    splits: dict[str, Any] = {}
    texts: list[pa.Array] = []
    for split in folder.splits:
        if state.rows.get(split.name):
            rows = _rows_of(spool, split.name, inputs.answers.get(split.name))
            splits[split.name] = write_split(data, rows, ids, warnings)
            texts.append(rows.texts)
            if split.name == TRAIN:
                vocabulary = inputs.vocabulary or train_on(rows.texts, config.vocabulary_size)
                vocabulary.save(data / "vocabulary")
    summary = {
        "fingerprint": state.fingerprint,
        "settings": asdict(replace(config, workers=0)),
        "feature_width": state.feature_width,
        "splits": splits,
        "products": len(ids),
        "regions": region_statistics(data, lambda label: (inputs.labels or {}).get(label, "")),
        "queries": describe_queries(text for one in texts for text in each(one)),
        "skipped": _skipped(state),
        "warnings": warnings,
    }
    write_manifest(data, summary)


def _write_products(data: Path, spool: Path, state: IngestState) -> pa.Array:
    """The files of products; returns the ids."""
    ids = pa.array(_load(spool, "product_ids")).cast(pa.string())
    ends = np.array(list(state.products.values()))
    first_split = np.searchsorted(ends, np.arange(len(ids)), side="right")
    write_products(data, ids, _load(spool, "region_counts"), first_split, list(state.products))
    return ids


def _rows_of(spool: Path, split: str, answers: Qrels | None) -> SplitRows:
    query_ids = pa.array(_load(spool, f"query_ids-{split}")).cast(pa.string())
    queries = np.asarray(_load(spool, f"pair_queries-{split}"))
    products = np.asarray(_load(spool, f"pair_products-{split}"))
    return SplitRows(split, query_ids, _texts(spool, split), queries, products, answers)


def _load(spool: Path, name: str) -> AnyArray:
    path = spool / f"{name}.npy"
    loaded: AnyArray = np.load(path, mmap_mode="r") if path.stat().st_size > 128 else np.load(path)
    return loaded


def _texts(spool: Path, split: str) -> pa.Array:
    lengths = _load(spool, f"query_lengths-{split}")
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    text = np.asarray(_load(spool, f"query_text-{split}"))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.LargeStringArray.from_buffers(len(lengths), buffers[1], buffers[2])


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
