"""Candidate retrieval with Milvus, which brings sharding and replicas; re-ranking stays local.

A collection holds the vector, the segment and the fields of every product. The products that
Milvus returns are rescored with the vectors stored in the index, so that results differ from the
embedded engine's only where the two retrieve other candidates.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from shopsight.config import SearchConfig
from shopsight.errors import UsageError
from shopsight.formats.fields import LONGEST_ID
from shopsight.search.conditions import Condition
from shopsight.search.retrievers.base import Candidates, QueryBatch, without_password
from shopsight.search.snapshot import Snapshot
from shopsight.types import IntArray, Progress, no_progress

_ID, _VECTOR, _SEGMENT = "id", "vector", "segment"
_BYTES_PER_CHARACTER = 4  # at most, in UTF-8
_BATCH = 1_000  # entities per request
_MAX_TEXT = 1_000
_MAX_CANDIDATES = 16_384  # Milvus's own limit
_TIMEOUT = 30.0
_INSTALL = "pip install 'shopsight[milvus]'"
_HNSW = {"M": 24, "efConstruction": 300}
_EF_FACTOR = 3  # graph nodes visited, as a multiple of the candidates


class MilvusRetriever:
    """An index's products in a Milvus server or a Milvus Lite file; see `Retriever`."""

    name = "milvus"

    def __init__(self, client: Any, url: str, collection: str) -> None:
        self._client, self._url, self._collection = client, url, collection
        # Lite compares with every product; a server searches an HNSW graph.
        self._lite = _is_file(url)

    @classmethod
    def connect(cls, url: str, snapshot: Snapshot) -> MilvusRetriever:
        """Connect to a server or open a file. Raises UsageError."""
        try:
            from pymilvus import MilvusClient
        except ImportError as error:
            raise UsageError(f"this engine needs pymilvus: {_INSTALL}") from error
        host, token = url, ""
        if _is_file(url):
            if find_spec("milvus_lite") is None:
                raise UsageError(f"a Milvus Lite file needs milvus-lite: {_INSTALL}")
            # Its server prints errors about an optional call that it does not implement.
            logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
        elif (parts := urlsplit(url)).username:
            token = f"{parts.username}:{parts.password or ''}"
            host = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        try:
            client = MilvusClient(host, token=token, timeout=_TIMEOUT)
        except Exception as error:  # pymilvus and gRPC have no common base
            raise _failure(url, error) from error
        return cls(client, url, f"shopsight_{snapshot.generation.identity}")

    def add(self, snapshot: Snapshot, progress: Progress = no_progress) -> None:
        """See `Retriever.add`."""
        if not snapshot.generation.products:
            return
        if not self._call("has_collection"):
            self._create(snapshot.vectors(np.zeros(1, np.int64)).shape[1])
        self._call("load_collection")
        done = 0
        for i, segment in enumerate(snapshot.generation.segments):
            rows = np.arange(snapshot.bounds[i], snapshot.bounds[i + 1])
            rows = rows[snapshot.alive[rows]]
            if self._count(f"{_SEGMENT} == {json.dumps(segment.name)}") != len(rows):
                for start in range(0, len(rows), _BATCH):
                    progress("load", done + start, snapshot.generation.products)
                    self._upsert(snapshot, segment.name, rows[start : start + _BATCH])
            done += len(rows)
        progress("load", done, done)
        if not self._lite:
            self._call("flush")

    def remove(self, snapshot: Snapshot) -> None:
        """See `Retriever.remove`."""
        if not self._call("has_collection"):
            return
        self._call("load_collection")
        segments = snapshot.generation.segments
        names = [json.dumps(segment.name) for segment in segments]
        outside = f"{_SEGMENT} not in [{', '.join(names)}]" if names else f'{_SEGMENT} != ""'
        self._call("delete", filter=outside)
        for i, name in enumerate(names):
            rows = np.arange(snapshot.bounds[i], snapshot.bounds[i + 1])
            removed = snapshot.ids(rows[~snapshot.alive[rows]])
            for start in range(0, len(removed), _BATCH):
                ids = json.dumps(removed[start : start + _BATCH])
                self._call("delete", filter=f"{_SEGMENT} == {name} and {_ID} in {ids}")

    def search(
        self, snapshot: Snapshot, queries: QueryBatch, k: int, filters: Sequence[Condition]
    ) -> list[Candidates]:
        """See `Retriever.search`."""
        if k > _MAX_CANDIDATES:
            raise UsageError(f"Milvus returns at most {_MAX_CANDIDATES:,} candidates, not {k:,}")
        limit = min(_MAX_CANDIDATES, math.ceil(k * SearchConfig().oversample))
        results = self._call(
            "search",
            data=[vector.tolist() for vector in queries.vectors],
            anns_field=_VECTOR,
            limit=limit,
            filter=" and ".join(item.to_milvus(column(item.field)) for item in filters),
            search_params={
                "metric_type": "IP",
                "params": {} if self._lite else {"ef": _EF_FACTOR * limit},
            },
            timeout=_TIMEOUT,
        )
        candidates = []
        for vector, hits in zip(queries.vectors, results, strict=True):
            rows = snapshot.rows_of([str(hit[_ID]) for hit in hits])
            candidates.append(Candidates(*snapshot.by_cosine(vector, rows[rows >= 0], k)))
        return candidates

    def count(self, snapshot: Snapshot) -> int:  # noqa: ARG002
        """See `Retriever.count`."""
        if not self._call("has_collection"):
            return 0
        self._call("load_collection")
        return self._count("")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _create(self, dim: int) -> None:
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
        longest = LONGEST_ID * _BYTES_PER_CHARACTER
        schema.add_field(_ID, DataType.VARCHAR, is_primary=True, max_length=longest)
        schema.add_field(_VECTOR, DataType.FLOAT_VECTOR, dim=dim)
        schema.add_field(_SEGMENT, DataType.VARCHAR, max_length=64)
        params = self._client.prepare_index_params()
        if self._lite:
            params.add_index(_VECTOR, index_type="FLAT", metric_type="IP")
        else:
            params.add_index(_VECTOR, index_type="HNSW", metric_type="IP", params=_HNSW)
        self._call(
            "create_collection", schema=schema, index_params=params, consistency_level="Strong"
        )

    def _upsert(self, snapshot: Snapshot, segment: str, rows: IntArray) -> None:
        entities: list[dict[str, Any]] = [
            {_ID: product_id, _VECTOR: vector.tolist(), _SEGMENT: segment}
            for product_id, vector in zip(snapshot.ids(rows), snapshot.vectors(rows), strict=True)
        ]
        # Long texts are left out: filters compare whole values, which are short in practice.
        for name in snapshot.fields.names:
            values = snapshot.fields.milvus_values(name, rows)
            for entity, value in zip(entities, values, strict=True):
                if value is not None and len(str(value)) <= _MAX_TEXT:
                    entity[column(name)] = value
        self._call("upsert", data=entities)

    def _count(self, condition: str) -> int:
        options = {"output_fields": ["count(*)"], "consistency_level": "Strong"}
        result = self._call("query", filter=condition, timeout=_TIMEOUT, **options)
        return int(result[0]["count(*)"])

    def _call(self, method: str, **arguments: Any) -> Any:
        """Call the client for this collection. Raises UsageError for any failure."""
        try:
            return getattr(self._client, method)(self._collection, **arguments)
        except Exception as error:  # pymilvus and gRPC have no common base
            raise _failure(self._url, error) from error


def column(field: str) -> str:
    """A field's name in Milvus, which takes letters, digits and underscores only.

    >>> column("price")
    'f_7072696365'
    """
    return f"f_{field.encode('utf-8', 'surrogatepass').hex()}"


def _is_file(url: str) -> bool:
    return not url.startswith(("http://", "https://"))


def _failure(url: str, error: Exception) -> UsageError:
    reason = str(getattr(error, "message", "") or error).split("\n")[0][:200]
    return UsageError(f"{without_password(url)}: Milvus request failed ({reason})")
