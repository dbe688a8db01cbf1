"""``shopsight bench serve``: a server under the load of many clients, measured from outside."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import numpy as np

from shopsight.bench.measure import resident_bytes, show
from shopsight.cli.parser import Parser
from shopsight.cli.serve import check_installed
from shopsight.data.dataset import PreparedData
from shopsight.errors import OutputError, UsageError
from shopsight.tables import Grid

_WORDS = ("red", "leather", "dress", "women", "shoes", "summer", "black", "bag", "shirt", "striped")
_STARTUP = 120.0  # seconds until a server must have loaded its index
_WARMUP = 20  # requests that are not measured


def run(argv: list[str]) -> None:
    """Run ``shopsight bench serve``."""
    parser = Parser(
        "bench serve",
        "Start a server for an index on this machine and send it searches from many clients:"
        " throughput, latency, errors, and the growth of the server's memory.",
        [
            "bench serve index",
            "bench serve index --clients 32 --seconds 60 --data data --json",
            "bench serve index --k 24 --explain",
        ],
    )
    parser.add_argument("index", metavar="INDEX", help="index folder")
    parser.add_argument("--clients", type=int, default=32, help="concurrent clients")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration")
    parser.add_argument("--k", type=int, default=10, help="hits per answer")
    parser.add_argument("--explain", action="store_true", help="request explanations")
    parser.add_argument(
        "--no-rerank", action="store_true", help="retrieve only, without re-ranking"
    )
    parser.add_argument("--data", metavar="DATA", help="prepared folder with the queries to send")
    parser.add_argument("--threads", type=int, default=1, help="processor threads of the server")
    args = parser.read(argv)
    if not 1 <= args.clients <= 1000 or not 0 < args.seconds <= 3600:
        raise UsageError("--clients must be from 1 to 1000, --seconds above 0 and at most 3600")
    check_installed()
    queries = _queries(args.data, args.seed)
    with _Server(args.index, args.threads) as server:
        load = asyncio.run(_send(server, queries, args))
        figures = _figures(load, args.seconds, server.mean_batch())
    rows = tuple((name, f"{value:,.6g}") for name, value in figures.items())
    note = f"{args.clients} clients for {args.seconds:g} s, {len(queries):,} queries in turn."
    show(figures, [Grid(("serving", "figure"), rows, note)], as_json=args.json)


class _Server:
    """Process of ``shopsight serve`` on a free local port."""

    def __init__(self, index: str, threads: int) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-m", "shopsight.cli.main", "serve", index, "--port", "0",
                   "--rate", "0", "--threads", str(threads)]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log)

    def __enter__(self) -> _Server:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if " at http://" not in line:
            self.process.wait(_STARTUP)
            self._log.seek(0)
            error = self._log.read().decode(errors="replace").strip().rpartition("shopsight: ")[2]
            self.__exit__()
            raise OutputError(error or "the server did not start")
        address = urlsplit(line.split(" at ")[1].split()[0])
        self.host, self.port = str(address.hostname), int(address.port or 0)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()

    def mean_batch(self) -> float:
        """Mean number of queries that the server searched together."""
        with urlopen(f"http://{self.host}:{self.port}/metrics", timeout=60) as answer:
            lines = [line for line in answer.read().decode().splitlines() if line[:1] not in "#"]
        metrics = dict(line.rsplit(" ", 1) for line in lines)
        count = float(metrics["shopsight_batch_queries_count"])
        return float(metrics["shopsight_batch_queries_sum"]) / max(count, 1)


@dataclass
class _Load:
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: int = 0
    memory: list[float] = field(default_factory=list)


async def _send(server: _Server, queries: list[str], args: Any) -> _Load:
    load = _Load()
    options = f"&k={args.k}"
    options += "&explain=true" if args.explain else ""
    options += "&rerank=false" if args.no_rerank else ""
    paths = [f"/search?q={quote(query)}{options}" for query in queries]
    for path in paths[:_WARMUP]:
        await _client(server, [path], 0, 1, 0.0, _Load())
    until = time.monotonic() + args.seconds
    clients = [_client(server, paths, i, args.clients, until, load) for i in range(args.clients)]
    await asyncio.gather(_watch_memory(server, until, load), *clients)
    return load


async def _client(
    server: _Server, paths: list[str], first: int, step: int, until: float, load: _Load
) -> None:
    """Send every ``step``-th path in a closed loop, over one connection while it lasts."""
    streams, i = None, first
    while True:
        started = time.perf_counter()
        try:
            if streams is None:
                streams = await asyncio.open_connection(server.host, server.port)
            status = await _request_once(*streams, paths[i % len(paths)])
        except (OSError, asyncio.IncompleteReadError, ValueError):
            load.failures, streams = load.failures + 1, None
            await asyncio.sleep(0.1)
        else:
            load.statuses[status] += 1
            load.seconds.append(time.perf_counter() - started)
        i += step
        if time.monotonic() >= until:
            break
    if streams is not None:
        streams[1].close()


async def _request_once(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
) -> int:
    """Send one request and return the status of its answer, whose body must be JSON."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length:")[2].split()[0])
    json.loads(await reader.readexactly(length))
    return int(head.split()[1])


async def _watch_memory(server: _Server, until: float, load: _Load) -> None:
    while time.monotonic() < until:
        load.memory.append((resident_bytes(server.process.pid) or 0) / 1e6)
        await asyncio.sleep(0.5)


def _figures(load: _Load, seconds: float, batch: float) -> dict[str, float]:
    times = np.asarray(load.seconds or [np.nan]) * 1e3
    # A leak shows as a last quarter above the first.
    quarter = max(len(load.memory) // 4, 1)
    first, last = np.median(load.memory[:quarter]), np.median(load.memory[-quarter:])
    rejected = sum(count for status, count in load.statuses.items() if status != 200)
    return {
        "answers a second": float(len(load.seconds) / seconds),
        "p50 (ms)": float(np.percentile(times, 50)),
        "p99 (ms)": float(np.percentile(times, 99)),
        "longest (ms)": float(times.max()),
        "answers": float(len(load.seconds)),
        "errors": float(rejected + load.failures),
        "queries a batch": batch,
        "memory, first quarter (MB)": float(first),
        "memory, last quarter (MB)": float(last),
    }


def _queries(data: str | None, seed: int) -> list[str]:
    """Queries of a prepared folder's first split, or random combinations of a few words."""
    rng = np.random.default_rng(seed)
    if data is None:
        return [" ".join(rng.permutation(_WORDS)[: rng.integers(2, 5)]) for _ in range(500)]
    prepared = PreparedData.open(data)
    texts = list(prepared.queries(prepared.splits[0]).texts)
    return [texts[i] for i in rng.permutation(len(texts))[:5000]]
