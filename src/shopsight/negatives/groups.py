"""Which queries are like which: the groups that hard negatives are drawn from.

Three kinds: queries with the same last word, queries of the same cluster, and the queries that
share the most words. All are made over distinct texts: queries that are the same once normalised
are one text here, so that neither can become a negative of the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.config import NegativesConfig
from shopsight.errors import DataError
from shopsight.formats.atomic import write_errors, write_npy
from shopsight.formats.checksums import fingerprint
from shopsight.formats.manifest import ManifestFormat
from shopsight.negatives.clusters import cluster_queries
from shopsight.negatives.overlap import overlap_neighbours
from shopsight.negatives.words import Progress, index_words
from shopsight.text.normalise import normalise
from shopsight.types import IntArray

GROUPS = ManifestFormat(
    "negatives.json",
    "query group folder",
    2,
    "build the groups again",
    frozenset({"queries", "texts", "fingerprint"}),
)


@dataclass(frozen=True, eq=False)
class QueryGroups:
    """Groups over the U distinct texts of Q queries.

    Attributes:
        text: (Q,) the text of each query, 0 to U - 1.
        query: (U,) the first query that has each text.
        last_word: (U,) the last-word group of each text.
        cluster: (U,) the cluster of each text.
        neighbours: (U, M) the texts that share most words with each, best first, -1 after the
            last one; M is at most U - 1, and at least 1.
        manifest: settings, counts, seed and fingerprint, as they stand in ``negatives.json``.
    """

    text: NDArray[np.int32]
    query: NDArray[np.int32]
    last_word: NDArray[np.int32]
    cluster: NDArray[np.int32]
    neighbours: NDArray[np.int32]
    manifest: dict[str, Any]


ARRAYS = ("text", "query", "last_word", "cluster", "neighbours")


def build_query_groups(
    texts: Sequence[str],
    config: NegativesConfig,
    seed: int,
    workers: int = 0,
    progress: Progress | None = None,
) -> QueryGroups:
    """Group queries by last word, cluster and shared words; repeatable by seed.

    Args:
        texts: Q queries as they came.
        config: how many clusters and neighbours, and how they are sought.
        seed: of every sample that is drawn.
        workers: threads; 0 takes every core this process may use. The result is the same.
        progress: told about the stages "words", "clusters" and "overlap".

    Raises:
        DataError: there are no queries.
    """
    if not len(texts):
        raise DataError("cannot group queries for negatives: there are none")
    places: dict[str, int] = {}
    text = np.fromiter(
        (places.setdefault(normalise(one), len(places)) for one in texts), np.int32, len(texts)
    )
    _, first = np.unique(text, return_index=True)
    distinct = list(places)
    del places
    found = index_words(distinct, progress)
    cluster = cluster_queries(found, config.clusters, config.dimensions, seed, progress)
    neighbours = overlap_neighbours(
        found,
        min(config.neighbours, max(len(distinct) - 1, 1)),
        config.postings,
        np.random.default_rng(seed),
        workers or len(os.sched_getaffinity(0)),
        progress,
    )
    about = {
        "queries": len(texts),
        "texts": len(distinct),
        "words": len(found.frequency),
        "last_words": len(found.last_word_names),
        "last_words_of_one_text": int((np.bincount(found.last_words) == 1).sum()),
        "largest_last_words": _largest(found.last_word_names, found.last_words),
        "clusters": len(np.unique(cluster)),
        "without_neighbours": int((neighbours < 0).all(axis=1).sum()),
        "settings": asdict(config),
        "seed": seed,
        "fingerprint": queries_fingerprint(texts),
    }
    last_word = found.last_words.astype(np.int32)
    return QueryGroups(text, first.astype(np.int32), last_word, cluster, neighbours, about)


def ungrouped(texts: Sequence[str]) -> QueryGroups:
    """Distinct texts without groups: all are alike, which costs no more than reading them.

    >>> ungrouped(["red dress", "sofa", "Red  dress"]).text.tolist()
    [0, 1, 0]
    """
    places: dict[str, int] = {}
    numbers = (places.setdefault(normalise(one), len(places)) for one in texts)
    text = np.fromiter(numbers, np.int32, len(texts))
    _, first = np.unique(text, return_index=True)
    one = np.zeros(len(places), np.int32)
    none = np.zeros((len(places), 0), np.int32)
    return QueryGroups(text, first.astype(np.int32), one, one, none, {})


def queries_fingerprint(texts: Iterable[str]) -> str:
    """A checksum of queries and their order, after normalisation.

    >>> queries_fingerprint(["Red  dress"]) == queries_fingerprint(["red dress"])
    True
    """
    return fingerprint(map(normalise, texts))


def save_query_groups(groups: QueryGroups, folder: str | Path) -> None:
    """Write the arrays as ``.npy`` files, then ``negatives.json``, without which they are nothing.

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
    """Open what `save_query_groups` wrote, as memory maps.

    Args:
        folder: where it was written.
        texts: the queries it must have been built from, if that shall be checked.

    Raises:
        DataError: nothing complete is there, or it was built from other queries.
    """
    folder = Path(folder)
    about = GROUPS.read(folder)
    arrays = {name: _open_array(folder / f"{name}.npy") for name in ARRAYS}
    sizes = {"text": about["queries"], **dict.fromkeys(ARRAYS[1:], about["texts"])}
    for name, array in arrays.items():
        if array.dtype != np.int32 or len(array) != sizes[name]:
            raise DataError(
                f"{folder / name}.npy: does not fit {GROUPS.file}; build the groups again"
            )
    if texts is not None and queries_fingerprint(texts) != about["fingerprint"]:
        raise DataError(f"{folder}: built from other queries than these; {GROUPS.remedy}")
    return QueryGroups(**arrays, manifest=about)


def _largest(names: list[str], groups: IntArray, count: int = 10) -> dict[str, int]:
    """The largest groups by name, with their sizes."""
    sizes = np.bincount(groups, minlength=len(names))
    return {names[i]: int(sizes[i]) for i in np.argsort(-sizes, kind="stable")[:count]}


def _open_array(path: Path) -> NDArray[np.int32]:
    try:
        array: NDArray[np.int32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: missing or damaged; {GROUPS.remedy}") from error
    return array
