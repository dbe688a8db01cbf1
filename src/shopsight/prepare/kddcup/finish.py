"""Final step: tables, vocabulary and ``data.json`` from the append-only files; repeatable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from shopsight.config import KddcupConfig
from shopsight.data.split_names import SPLIT_ORDER
from shopsight.formats.qrels import read_qrels
from shopsight.prepare.journal import PrepareState
from shopsight.prepare.kddcup.parser import read_labels
from shopsight.prepare.kddcup.raw_folder import RawFolder
from shopsight.prepare.kddcup.rows import KINDS
from shopsight.prepare.tables import (
    MakeVocabulary,
    SplitRows,
    remove_leftovers,
    vocabulary_maker,
    write_prepared,
    write_products,
    write_splits,
)
from shopsight.types import AnyArray, Qrels


@dataclass
class IngestState(PrepareState):
    """Progress of reading raw competition files."""

    split: int = 0  # index of the split being read
    offset: int = 0  # position in the split's stream
    crc: int = 0  # of the stream up to there, for standard input
    line: int = 0
    rows: dict[str, int] = field(default_factory=dict)  # valid ones of each split
    products: dict[str, int] = field(default_factory=dict)  # stored by the end of each split
    changed_queries: dict[str, int] = field(default_factory=dict)
    open_ended: list[str] = field(default_factory=list)  # splits without a last line end


@dataclass(frozen=True)
class SmallInputs:
    """The small input files, read before the first row so that an error in them costs no time."""

    labels: dict[int, str] | None
    qrels: dict[str, Qrels]
    vocabulary: MakeVocabulary

    @classmethod
    def read(cls, folder: RawFolder, config: KddcupConfig) -> SmallInputs:
        """Read them. Raises InputError or DataError for invalid ones."""
        return cls(
            labels=read_labels(folder.labels) if folder.labels else None,
            qrels={s.name: read_qrels(s.answers) for s in folder.splits if s.answers},
            vocabulary=vocabulary_maker(config),
        )


def finish(
    partial: Path,
    state: IngestState,
    folder: RawFolder,
    inputs: SmallInputs,
    config: KddcupConfig,
) -> None:
    """Complete ``partial/data`` from ``partial/spool``. Raises InputError without a valid row."""
    data, spool = partial / "data", partial / "spool"
    if not sum(state.rows.values()):
        raise state.no_valid_row(folder.splits[0].path, line=1)
    remove_leftovers(data, state.lengths)
    warnings = _raw_warnings(state, inputs.labels)
    if len(folder.splits) == 1 and (name := folder.splits[0].name) not in SPLIT_ORDER:
        advice = "--splits NAME names the split of a single file"
        warnings.append(f"'{name}' is not the train split: its rows are candidates ({advice})")
    ids = pa.array(_load(spool, "product_ids")).cast(pa.string())
    # Products are numbered in order of appearance, so a split's products are one range.
    ends = np.array(list(state.products.values()))
    first_split = np.searchsorted(ends, np.arange(len(ids)), side="right")
    write_products(data, ids, _load(spool, "region_counts"), first_split, list(state.products))
    rows = _split_rows(spool, state, folder, inputs)
    write_prepared(
        data,
        state.counts(KINDS)
        | write_splits(data, rows, ids, inputs.vocabulary, warnings)
        | {"settings": asdict(replace(config, workers=0)), "warnings": warnings},
        inputs.labels or {},
    )


def _split_rows(
    spool: Path, state: IngestState, folder: RawFolder, inputs: SmallInputs
) -> Iterator[SplitRows]:
    for split in folder.splits:
        name = split.name
        if state.rows.get(name):
            yield SplitRows(
                name,
                pa.array(_load(spool, f"query_ids-{name}")).cast(pa.string()),
                _texts(spool, name),
                np.asarray(_load(spool, f"pair_queries-{name}")),
                np.asarray(_load(spool, f"pair_products-{name}")),
                inputs.qrels.get(name),
            )


def _load(spool: Path, name: str) -> AnyArray:
    path = spool / f"{name}.npy"
    # An array without rows is a bare header, which cannot be mapped.
    is_empty = path.stat().st_size <= 128
    array: AnyArray = np.load(path, mmap_mode=None if is_empty else "r")
    return array


def _texts(spool: Path, split: str) -> pa.Array:
    lengths = _load(spool, f"query_lengths-{split}")
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    text = np.asarray(_load(spool, f"query_text-{split}"))
    return pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(text))


def _raw_warnings(state: IngestState, labels: dict[int, str] | None) -> list[str]:
    warnings = [] if labels else ["no label file: class labels were not checked"]
    warnings += [f"{split}: the last line has no line end" for split in state.open_ended]
    for split, count in state.changed_queries.items():
        if count:
            rows = f"{count:,} {'row repeats' if count == 1 else 'rows repeat'}"
            reason = "a query id with another text; the first text is kept"
            warnings.append(f"{split}: {rows} {reason}")
    return warnings
