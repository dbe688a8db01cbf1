"""How far a preparation is, and the small files that it reads before the first row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shopsight.config import KddcupConfig
from shopsight.formats.qrels import read_qrels
from shopsight.prepare.kddcup.parser import read_labels
from shopsight.prepare.kddcup.raw_folder import RawFolder
from shopsight.text.vocabulary import Vocabulary, load_vocabulary
from shopsight.types import Qrels


@dataclass(frozen=True)
class SmallInputs:
    """What is read before the first row, so that a fault in it costs no time.

    Attributes:
        labels: names of the region classes; None without a label file.
        answers: the answers of each split that has some.
        vocabulary: the named tokenizer; None where one is trained on the queries.
    """

    labels: dict[int, str] | None
    answers: dict[str, Qrels]
    vocabulary: Vocabulary | None

    @classmethod
    def read(cls, folder: RawFolder, config: KddcupConfig) -> SmallInputs:
        """Read them. Raises InputError or DataError for what cannot be read."""
        return cls(
            labels=read_labels(folder.labels) if folder.labels else None,
            answers={one.name: read_qrels(one.answers) for one in folder.splits if one.answers},
            vocabulary=load_vocabulary(config.tokenizer) if config.tokenizer else None,
        )


@dataclass
class IngestState:
    """Everything a later run needs to go on; kept in the journal as JSON.

    Attributes:
        fingerprint: settings and raw files this state belongs to.
        feature_width: numbers per region feature; 0 before the first row.
        split: index of the split being read.
        offset: position in the split's stream, with its ``crc`` for standard input.
        line: lines of the split read so far.
        rows: good rows of each split.
        products: products stored by the end of each split.
        skipped: per split and kind, how many rows were left out, and the first of them.
        changed_queries: rows whose query id had another text before, per split.
        open_ended: splits whose last line had no line end.
    """

    fingerprint: str
    feature_width: int = 0
    split: int = 0
    offset: int = 0
    crc: int = 0
    line: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    changed_queries: dict[str, int] = field(default_factory=dict)
    open_ended: list[str] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)
