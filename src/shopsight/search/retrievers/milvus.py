"""Retrieval with Milvus: sharding, replicas and filters are its own; ranking stays with the index.

A collection holds every product's vector, the part of the index that it is in, and its fields.
What Milvus finds is looked up in the index and ordered by the stored vectors, so that answers
differ from the embedded engine's only where the two recall other candidates.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from shopsight.config import SearchConfig
from shopsight.errors import DataError, UsageError
from shopsight.formats.fields import LONGEST_ID
from shopsight.search.filters import Filter
from shopsight.search.retrievers.faiss import Vectors
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray

_ID, _VECTOR, _PART = "id", "vector", "part"
_BYTES = 4  # of a character in UTF-8, at most
_LOADED_AT_ONCE = 1_000
_DELETED_AT_ONCE = 1_000
_LONGEST_TEXT = 1_000
_MOST = 16_384  # candidates that Milvus gives
_SECONDS = 30.0
_GRAPH = {"M": 24, "efConstruction": 300}
_LOOKED_AT = 3  # nodes of the graph, as a multiple of the candidates


class MilvusRetriever:
    """An index's products in a Milvus server or a Milvus Lite file.

    Args:
        client: a ``pymilvus.MilvusClient``.
        collection: the index's.
        lite: whether it is a file, which compares with every product; a server has a graph of
            them (HNSW) and compares with those along a path.
    """

    name = "milvus"

    def __init__(self, client: Any, collection: str, lite: bool) -> None:
        self._client, self._collection, self._lite = client, collection, lite

    @classmethod
    def open(cls, url: str, snapshot: Snapshot) -> MilvusRetriever:
        """Connect, and see that the index is there.

        Args:
            url: see `shopsight.search.retrievers.base.open_retriever`.
            snapshot: the index.

        Raises:
            UsageError: pymilvus is not installed; nothing answers at the URL.
            DataError: the index was not loaded there, or another state of it.
        """
        engine = cls(_connected(url), _name(snapshot), _is_file(url))
        if not _asked(url, engine._client.has_collection, engine._collection):
            raise DataError("the engine does not hold this index; load it: shopsight index INDEX"
                            f" --engine {_shown(url)}")  # fmt: skip
        _asked(url, engine._client.load_collection, engine._collection)
        held, wanted = engine._count(""), snapshot.generation.products
        if held != wanted:
            raise DataError(
                f"the engine holds {held:,} of the index's {wanted:,} products; load them again:"
                f" shopsight index INDEX --engine {_shown(url)}"
            )
        return engine

    def search(
        self, snapshot: Snapshot, queries: Vectors, depth: int, conditions: Sequence[Filter]
    ) -> tuple[list[IntArray], list[Vectors]]:
        """See `shopsight.search.retrievers.base.Retriever.search`."""
        if depth > _MOST:
            raise UsageError(f"Milvus gives at most {_MOST:,} candidates, not {depth:,}")
        wanted = min(_MOST, math.ceil(depth * SearchConfig().oversample))
        found = self._client.search(
            self._collection,
            data=[one.tolist() for one in queries],
            anns_field=_VECTOR,
            limit=wanted,
            filter=" and ".join(map(expression, conditions)),
            search_params={
                "metric_type": "IP",
                "params": {} if self._lite else {"ef": _LOOKED_AT * wanted},
            },
            timeout=_SECONDS,
        )
        rows, near = [], []
        for query, hits in zip(queries, found, strict=True):
            at = snapshot.rows_of([str(hit[_ID]) for hit in hits])
            kept, cosines = snapshot.by_cosine(query, at[at >= 0], depth)
            rows.append(kept)
            near.append(cosines)
        return rows, near

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def make(self, width: int) -> None:
        """Make the collection, if it is not there."""
        if self._client.has_collection(self._collection):
            self._client.load_collection(self._collection)
            return
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
        schema.add_field(_ID, DataType.VARCHAR, is_primary=True, max_length=LONGEST_ID * _BYTES)
        schema.add_field(_VECTOR, DataType.FLOAT_VECTOR, dim=width)
        schema.add_field(_PART, DataType.VARCHAR, max_length=64)
        how = self._client.prepare_index_params()
        if self._lite:
            how.add_index(_VECTOR, index_type="FLAT", metric_type="IP")
        else:
            how.add_index(_VECTOR, index_type="HNSW", metric_type="IP", params=_GRAPH)
        self._client.create_collection(self._collection, schema=schema, index_params=how,
                                       consistency_level="Strong")  # fmt: skip

    def follow(self, snapshot: Snapshot, progress: Callable[[str, int, int], None]) -> None:
        """Bring the collection to the index's state: what is there already stays."""
        parts = snapshot.generation.segments
        names = [json.dumps(part.name) for part in parts]
        outside = f"{_PART} not in [{', '.join(names)}]" if names else f'{_PART} != ""'
        self._client.delete(self._collection, filter=outside)
        done = 0
        for number, part in enumerate(parts):
            rows = np.arange(snapshot.bounds[number], snapshot.bounds[number + 1])
            self._remove(part.name, snapshot.ids(rows[~snapshot.alive[rows]]))
            alive = rows[snapshot.alive[rows]]
            if self._count(f"{_PART} == {json.dumps(part.name)}") != len(alive):
                for start in range(0, len(alive), _LOADED_AT_ONCE):
                    progress("load", done + start, snapshot.generation.products)
                    self._load(snapshot, part.name, alive[start : start + _LOADED_AT_ONCE])
            done += len(alive)
        progress("load", done, done)
        if not self._lite:
            self._client.flush(self._collection)

    def _load(self, snapshot: Snapshot, part: str, rows: IntArray) -> None:
        ids, vectors = snapshot.ids(rows), snapshot.vectors(rows)
        entities: list[dict[str, Any]] = [
            {_ID: one, _VECTOR: vector.tolist(), _PART: part}
            for one, vector in zip(ids, vectors, strict=True)
        ]
        for name in snapshot.fields.names:
            for entity, value in zip(entities, snapshot.fields.values(name, rows), strict=True):
                if value is not None and len(str(value)) <= _LONGEST_TEXT:
                    entity[column(name)] = value
        self._client.upsert(self._collection, entities)

    def _remove(self, part: str, product_ids: Sequence[str]) -> None:
        for start in range(0, len(product_ids), _DELETED_AT_ONCE):
            some = json.dumps(list(product_ids[start : start + _DELETED_AT_ONCE]))
            self._client.delete(
                self._collection, filter=f"{_PART} == {json.dumps(part)} and {_ID} in {some}"
            )

    def _count(self, condition: str) -> int:
        found = self._client.query(
            self._collection,
            filter=condition,
            output_fields=["count(*)"],
            consistency_level="Strong",
            timeout=_SECONDS,
        )
        return int(found[0]["count(*)"])


def load_retriever(
    url: str, path: str | Path, progress: Callable[[str, int, int], None] | None = None
) -> int:
    """Load an index into a Milvus server or file, or bring one that is there up to date.

    Returns:
        How many products it holds then.

    Raises:
        UsageError: pymilvus is not installed; nothing answers at the URL.
        DataError: not an index; the engine lost products on the way.
    """
    snapshot = Snapshot.current(path)
    with closing(MilvusRetriever(_connected(url), _name(snapshot), _is_file(url))) as engine:
        width = snapshot.vectors(np.zeros(1, np.int64)).shape[1]
        _asked(url, engine.make, width)
        _asked(url, engine.follow, snapshot, progress or (lambda *_: None))
        held = engine._count("")
    if held != snapshot.generation.products:
        wanted = snapshot.generation.products
        raise DataError(f"the engine holds {held:,} of the index's {wanted:,} products; try again")
    return held


def column(field: str) -> str:
    """A field's name as Milvus takes it, whatever characters it has.

    >>> column("price")
    'f_7072696365'
    """
    return f"f_{field.encode('utf-8', 'surrogatepass').hex()}"


def expression(condition: Filter) -> str:
    """A condition in Milvus's language.

    >>> expression(Filter("price", "number", low=10.0, high=20.0, below=True))
    'f_7072696365 >= 10.0 and f_7072696365 < 20.0'
    """
    name = column(condition.field)
    if condition.kind != "number":
        return f"{name} == {json.dumps(condition.equal, ensure_ascii=False)}"
    if condition.low == condition.high:
        return f"{name} == {condition.low!r}"
    limits = []
    if condition.low > -math.inf:
        limits.append(f"{name} {'>' if condition.above else '>='} {condition.low!r}")
    if condition.high < math.inf:
        limits.append(f"{name} {'<' if condition.below else '<='} {condition.high!r}")
    return " and ".join(limits)


def _name(snapshot: Snapshot) -> str:
    return f"shopsight_{snapshot.generation.identity}"


def _connected(url: str) -> Any:
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise UsageError("this engine needs pymilvus: pip install 'shopsight[milvus]'") from error
    if _is_file(url) and find_spec("milvus_lite") is None:
        raise UsageError("a Milvus Lite file needs milvus-lite: pip install 'shopsight[milvus]'")
    if _is_file(url):  # its server tells on stderr of a call that it lacks and can do without
        logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    parts = urlsplit(url) if "://" in url else None
    token = ""
    if parts is not None and parts.username:
        token = f"{parts.username}:{parts.password or ''}"
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=host))
    return _asked(url, MilvusClient, url, token=token, timeout=_SECONDS)


def _is_file(url: str) -> bool:
    return not url.startswith(("http://", "https://"))


def _asked(url: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call Milvus; what it refuses is said in a sentence."""
    try:
        return call(*arguments, **named)
    except (UsageError, DataError):
        raise
    except Exception as error:  # pymilvus and gRPC have no common base
        reason = str(getattr(error, "message", "") or error).split("\n")[0][:200]
        raise UsageError(
            f"{_shown(url)}: the engine does not answer as it should ({reason})"
        ) from (error)


def _shown(url: str) -> str:
    """A URL without its password."""
    if "@" not in url:
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
