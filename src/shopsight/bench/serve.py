"""``shopsight bench serve``: many clients at a server on this machine, measured from outside."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.cli.serve import check_installed
from shopsight.data.dataset import PreparedData
from shopsight.errors import OutputError, UsageError
from shopsight.tables import Grid

_WORDS = ("red", "leather", "dress", "women", "shoes", "summer", "black", "bag", "shirt", "striped")
_START = 120.0  # seconds that a server may take to load an index


def run_serve(arguments: list[str]) -> None:
    """Run ``shopsight bench serve``."""
    parser = Parser(
        "bench serve",
        "Start a server for an index on this machine and let many clients search at once:"
        " answers a second, their time, errors, and how the server's memory changes.",
        [
            "bench serve index",
            "bench serve index --clients 32 --seconds 60 --data data --json",
            "bench serve index --k 24 --explain",
        ],
    )
    parser.add_argument("index", metavar="INDEX", help="folder of `shopsight index`")
    parser.add_argument("--clients", type=int, default=32, help="clients at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they ask")
    parser.add_argument("--k", type=int, default=10, help="hits of an answer")
    parser.add_argument("--explain", action="store_true", help="ask for explanations too")
    parser.add_argument(
        "--no-rerank", action="store_true", help="retrieve only, without re-ranking"
    )
    parser.add_argument("--data", metavar="DATA", help="prepared folder whose queries are asked")
    parser.add_argument("--threads", type=int, default=1, help="processor threads of the server")
    parser.add_json()
    given = parser.read(arguments)
    if not 1 <= given.clients <= 1000 or not 0 < given.seconds <= 3600:
        raise UsageError("--clients must be from 1 to 1000, --seconds above 0 and at most 3600")
    check_installed()
    queries = _queries(given.data, given.seed)
    with _Server(given.index, given.threads) as server:
        load = asyncio.run(_load(server, queries, given))
        figures = _figures(load, given.seconds, server.batches())
    if given.json:
        print_json(figures)
    else:
        rows = tuple((name, f"{value:,.6g}") for name, value in figures.items())
        note = f"{given.clients} clients for {given.seconds:g} s, {len(queries):,} queries in turn."
        print_grid(Grid(("serving", "figure"), rows, note))


class _Server:
    """``shopsight serve`` as a process of its own, on a free port of loopback."""

    def __init__(self, index: str, threads: int) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-m", "shopsight.cli.main", "serve", index, "--port", "0",
                   "--rate", "0", "--threads", str(threads)]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log)

    def __enter__(self) -> _Server:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        if " at http://" not in line:
            self._process.wait(_START)
            self._log.seek(0)
            said = self._log.read().decode(errors="replace").strip().rpartition("shopsight: ")[2]
            self.__exit__()
            raise OutputError(said or "the server did not start")
        address = urlsplit(line.split(" at ")[1].split()[0])
        self.host, self.port = str(address.hostname), int(address.port or 0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(60)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def memory(self) -> float:
        """What the server holds in memory now, in MB; 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * 4096 / 1e6

    def batches(self) -> float:
        """Queries that were searched together, on the average."""
        text = self._get("/metrics")
        read = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] not in ("#", ""))
        count = float(read["shopsight_batch_queries_count"])
        return float(read["shopsight_batch_queries_sum"]) / max(count, 1)

    def _get(self, path: str) -> str:
        with socket.create_connection((self.host, self.port), timeout=60) as wire:
            wire.sendall(_request(path, "close"))
            with wire.makefile("rb") as answer:
                return answer.read().partition(b"\r\n\r\n")[2].decode()


@dataclass
class _Load:
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    memory: list[float] = field(default_factory=list)


async def _load(server: _Server, queries: list[str], given: Any) -> _Load:
    load = _Load()
    options = f"&k={given.k}"
    options += "&explain=true" if given.explain else ""
    options += "&rerank=false" if given.no_rerank else ""
    paths = [f"/search?q={quote(query)}{options}" for query in queries]
    for path in paths[:20]:  # whatever is read or made for the first few
        await _client(server, [path], 0, 1, 0.0, _Load())
    until = time.monotonic() + given.seconds
    clients = [_client(server, paths, i, given.clients, until, load) for i in range(given.clients)]
    await asyncio.gather(_watch(server, until, load), *clients)
    return load


async def _client(
    server: _Server, paths: list[str], at: int, step: int, until: float, load: _Load
) -> None:
    """One client: ask, wait for the answer, ask the next, on one connection while it lasts."""
    wire = None
    while True:
        started = time.perf_counter()
        try:
            if wire is None:
                wire = await asyncio.open_connection(server.host, server.port)
            status = await _ask(*wire, paths[at % len(paths)])
        except (OSError, asyncio.IncompleteReadError, ValueError):
            load.broken, wire = load.broken + 1, None
            await asyncio.sleep(0.1)
        else:
            load.statuses[status] += 1
            load.seconds.append(time.perf_counter() - started)
        at += step
        if time.monotonic() >= until:
            break
    if wire is not None:
        wire[1].close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    writer.write(_request(path, "keep-alive"))
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length:")[2].split()[0])
    body = await reader.readexactly(length)
    json.loads(body)
    return int(head.split()[1])


async def _watch(server: _Server, until: float, load: _Load) -> None:
    while time.monotonic() < until:
        load.memory.append(server.memory())
        await asyncio.sleep(0.5)


def _request(path: str, connection: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n".encode()


def _figures(load: _Load, seconds: float, batch: float) -> dict[str, float]:
    times = np.asarray(load.seconds or [np.nan]) * 1e3
    quarter = max(len(load.memory) // 4, 1)
    first, last = np.median(load.memory[:quarter]), np.median(load.memory[-quarter:])
    wrong = sum(count for status, count in load.statuses.items() if status != 200)
    return {
        "answers a second": float(len(load.seconds) / seconds),
        "p50 (ms)": float(np.percentile(times, 50)),
        "p99 (ms)": float(np.percentile(times, 99)),
        "longest (ms)": float(times.max()),
        "answers": float(len(load.seconds)),
        "errors": float(wrong + load.broken),
        "queries a batch": batch,
        "memory, first quarter (MB)": float(first),
        "memory, last quarter (MB)": float(last),
    }


def _queries(data: str | None, seed: int) -> list[str]:
    """Queries of a prepared folder's training split, or made of a few words."""
    rng = np.random.default_rng(seed)
    if data is None:
        return [" ".join(rng.permutation(_WORDS)[: rng.integers(2, 5)]) for _ in range(500)]
    prepared = PreparedData.open(data)
    texts = list(prepared.queries(prepared.splits[0]).texts)
    return [texts[i] for i in rng.permutation(len(texts))[:5000]]
