"""Candidate pools and answers that come with a catalogue, instead of generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from shopsight.errors import InputError, UsageError
from shopsight.formats.candidates import read_candidates
from shopsight.formats.checksums import file_fingerprint
from shopsight.formats.click_logs import ClickPairs, read_clicks
from shopsight.formats.qrels import read_qrels
from shopsight.prepare.photos.columns import canonical_split
from shopsight.prepare.photos.splits import EVALUATION, SPLITS
from shopsight.prepare.tables import SplitRows
from shopsight.types import IntArray, Pools, Qrels


@dataclass(frozen=True, eq=False)
class GivenPools:
    """The candidates of an evaluation split, the texts of its queries, and answers if known."""

    path: Path
    split: str
    pools: Pools
    texts: dict[str, str]
    qrels: Qrels | None

    def rows(self, ids: Sequence[str], splits: IntArray) -> SplitRows:
        """The split as it is written, for P products with ids and indices into `SPLITS`.

        Raises:
            InputError: a candidate that is not in the table, or a training product.
        """
        index = {product_id: i for i, product_id in enumerate(ids)}
        candidates = self.pools.product_ids.tolist()
        for product_id in candidates:
            if product_id not in index:
                raise InputError(f"candidate '{product_id}' is not in the table", path=self.path)
            if not splits[index[product_id]]:
                reason = f"candidate '{product_id}' is a training product (--split-column)"
                raise InputError(reason, path=self.path)
        return SplitRows(
            self.split,
            pa.array(self.pools.query_ids, pa.string()),
            pa.array([self.texts[query] for query in self.pools.query_ids], pa.large_string()),
            self.pools.query_idx.astype(np.int32),
            np.array([index[product_id] for product_id in candidates], np.int32),
            self.qrels,
        )


@dataclass(frozen=True, eq=False)
class QueryInputs:
    """Queries and judgements from other files than the table.

    Attributes:
        clicks: the click log, if any.
        pools: the given evaluation splits; without any, pools are generated.
        fingerprint: of the files.
    """

    clicks: ClickPairs | None = None
    pools: tuple[GivenPools, ...] = ()
    fingerprint: str = "clicks:none"

    @classmethod
    def read(
        cls, clicks: Path | str | None, pools: Sequence[Path | str] = (), on_error: str = "stop"
    ) -> QueryInputs:
        """Read a click log and files of pools.

        Raises:
            InputError: an invalid one; with ``on_error`` "skip", not for single rows of the log.
        """
        skips = on_error == "skip"
        log = None if clicks is None else read_clicks(Path(clicks), skip_invalid=skips)
        given = tuple(_read_pools(Path(path)) for path in pools)
        names = [entry.split for entry in given]
        if len(set(names)) < len(names):
            raise UsageError(f"--pools: two files of split {max(names, key=names.count)}")
        prints = [f"clicks:{file_fingerprint(Path(clicks)) if clicks is not None else 'none'}"]
        for entry in given:
            answers = _answers(entry.path, entry.split)
            prints += [f"pools:{entry.split}:{file_fingerprint(entry.path)}"]
            prints += [f"answers:{file_fingerprint(answers)}"] if entry.qrels else []
        return cls(log, given, "; ".join(prints))


def _read_pools(path: Path) -> GivenPools:
    split = canonical_split(path.name.partition(".")[0])
    if split not in EVALUATION:
        known = ", ".join(SPLITS[1:])
        raise UsageError(f"--pools {path}: the name must begin with its split ({known})")
    table = read_candidates(path)
    if table.texts is None:
        raise InputError("no column 'query' with the texts of the queries", path=path)
    if blank := next((query for query, text in table.texts.items() if not text.strip()), None):
        raise InputError(f"query '{blank}' has no text", path=path)
    answers = _answers(path, split)
    qrels = read_qrels(answers) if answers.is_file() else None
    return GivenPools(path, split, table.pools, table.texts, qrels)


def _answers(path: Path, split: str) -> Path:
    return path.with_name(f"{split}_answer.json")
