"""Query groups, from which hard negatives are drawn: last words, clusters and shared words.

Queries that are equal after normalisation are one text: neither is a negative of the other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.config import NegativesConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN
from shopsight.errors import DataError
from shopsight.formats.append_npy import map_npy
from shopsight.formats.atomic import write_errors, write_npy
from shopsight.formats.checksums import fingerprint
from shopsight.formats.manifest import ManifestFormat
from shopsight.negatives.clusters import cluster_queries
from shopsight.negatives.overlap import overlap_neighbours
from shopsight.negatives.words import index_words
from shopsight.text.normalise import normalise
from shopsight.types import Progress, no_progress

GROUPS = ManifestFormat(
    "negatives.json",
    "query group folder",
    2,
    "build the groups again",
    frozenset({"queries", "texts", "fingerprint"}),
)


@dataclass(frozen=True, eq=False)
class QueryGroups:
    """Groups of the U distinct texts of Q queries.

    Attributes:
        text: (Q,) text of each query, 0 to U - 1.
        query: (U,) first query with each text.
        last_word, cluster: (U,) group of each text.
        neighbours: (U, M) the texts that share the most words with each, best first; -1 is
            padding. M is at most U - 1, and at least 1.
        manifest: settings, counts, seed and fingerprint, the content of ``negatives.json``.
    """

    text: NDArray[np.int32]
    query: NDArray[np.int32]
    last_word: NDArray[np.int32]
    cluster: NDArray[np.int32]
    neighbours: NDArray[np.int32]
    manifest: dict[str, Any]


ARRAYS = ("text", "query", "last_word", "cluster", "neighbours")


def build_query_groups(
    texts: Sequence[str], config: NegativesConfig, seed: int, progress: Progress = no_progress
) -> QueryGroups:
    """Group queries by last word, cluster and shared words, repeatably by seed.

    Progress has the stages "words", "clusters" and "overlap".

    Raises:
        DataError: there are no queries.
    """
    if not len(texts):
        raise DataError("cannot group queries for negatives: there are none")
    text, query, distinct = _distinct_texts(texts)
    words = index_words(distinct, progress)
    cluster = cluster_queries(words, config.clusters, config.dimensions, seed, progress)
    neighbours = overlap_neighbours(
        words,
        min(config.neighbours, max(len(distinct) - 1, 1)),
        config.postings,
        np.random.default_rng(seed),
        len(os.sched_getaffinity(0)),
        progress,
    )
    sizes, names = np.bincount(words.last_words), words.last_word_names
    manifest = {
        "queries": len(texts),
        "texts": len(distinct),
        "words": len(words.frequency),
        "last_words": len(names),
        "last_words_of_one_text": int((sizes == 1).sum()),
        "largest_last_words": {
            names[i]: int(sizes[i]) for i in np.argsort(-sizes, kind="stable")[:10]
        },
        "clusters": len(np.unique(cluster)),
        "without_neighbours": int((neighbours < 0).all(axis=1).sum()),
        "settings": asdict(config),
        "seed": seed,
        "fingerprint": fingerprint(map(normalise, texts)),
    }
    last_word = words.last_words.astype(np.int32)
    return QueryGroups(text, query, last_word, cluster, neighbours, manifest)


def ungrouped(texts: Sequence[str]) -> QueryGroups:
    """Distinct texts in a single group, without neighbours; much faster than grouping.

    >>> ungrouped(["red dress", "sofa", "Red  dress"]).text.tolist()
    [0, 1, 0]
    """
    text, query, distinct = _distinct_texts(texts)
    single = np.zeros(len(distinct), np.int32)
    return QueryGroups(text, query, single, single, np.zeros((len(distinct), 0), np.int32), {})


def _distinct_texts(
    texts: Sequence[str],
) -> tuple[NDArray[np.int32], NDArray[np.int32], list[str]]:
    """(Q,) text of each query, (U,) first query of each text, and the U normalised texts."""
    ids: dict[str, int] = {}
    numbers = (ids.setdefault(normalise(text), len(ids)) for text in texts)
    text = np.fromiter(numbers, np.int32, len(texts))
    _, first = np.unique(text, return_index=True)
    return text, first.astype(np.int32), list(ids)


def save_query_groups(groups: QueryGroups, folder: str | Path) -> None:
    """Write the arrays as ``.npy`` files, then the manifest, which makes the folder valid.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = Path(folder)
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / GROUPS.file).unlink(missing_ok=True)
    for name in ARRAYS:
        write_npy(folder / f"{name}.npy", getattr(groups, name))
    GROUPS.write(folder, groups.manifest)


def load_query_groups(folder: str | Path, texts: Sequence[str] | None = None) -> QueryGroups:
    """Open saved groups as memory maps.

    Raises:
        DataError: incomplete, damaged, or built from other queries than ``texts``.
    """
    folder = Path(folder)
    manifest = GROUPS.read(folder)
    arrays = {name: map_npy(folder / f"{name}.npy", GROUPS.remedy) for name in ARRAYS}
    sizes = {"text": manifest["queries"], **dict.fromkeys(ARRAYS[1:], manifest["texts"])}
    for name, array in arrays.items():
        if array.dtype != np.int32 or len(array) != sizes[name]:
            raise DataError(
                f"{folder / name}.npy: does not fit {GROUPS.file}; build the groups again"
            )
    if texts is not None and fingerprint(map(normalise, texts)) != manifest["fingerprint"]:
        raise DataError(f"{folder}: built from other queries than these; {GROUPS.remedy}")
    return QueryGroups(**arrays, manifest=manifest)


def query_groups(data: PreparedData, config: NegativesConfig, seed: int, own: Path) -> QueryGroups:
    """The query groups of the run (``own``) or of the prepared folder if they fit, else new ones.

    They fit also if only the drawing differs.
    """
    texts = data.queries(TRAIN).texts
    for folder in (own, data.path / "negatives"):
        try:
            groups = load_query_groups(folder, texts)
        except DataError:
            continue
        built, expected = groups.manifest, {**asdict(config), **_DRAWING}
        if {**built["settings"], **_DRAWING} == expected and built["seed"] == seed:
            return groups
    groups = build_query_groups(texts, config, seed)
    save_query_groups(groups, own)
    return groups


# Settings of the sampler, which the groups do not depend on.
_DRAWING = dict.fromkeys(("last_word_fraction", "tries", "two_coins"), 0)
