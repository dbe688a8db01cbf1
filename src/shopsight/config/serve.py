"""Server settings: address and limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shopsight.config.checks import check_ranges
from shopsight.errors import UsageError

_ORIGIN = re.compile(r"https?://[^/\s?#]+")


@dataclass(frozen=True)
class ServeConfig:
    """Settings of ``shopsight serve``.

    Args:
        host: address to listen on; 127.0.0.1 is reachable from this machine only.
        port: port to listen on; 0: any free port.
        allowed_hosts: additional values of the Host header; any is allowed if ``host`` is not a
            loopback address.
        cors: origins whose pages may call the API, such as https://shop.example; "*": any.
        trust_proxy: take the client's address from the headers of a proxy on this machine.
        query_chars: maximum length of a query, in characters.
        k_max: maximum number of hits.
        candidates_max: maximum number of candidates to re-rank.
        photo_bytes: maximum size of a query photo.
        rate: requests per second and client, on average; 0: unlimited. A photo counts as 0.1.
        burst: requests that a client may send at once.
        pending: maximum number of concurrent requests; further ones are rejected.
        timeout: seconds until a request is aborted.
        batch_size: maximum number of queries searched together.
        batch_wait: seconds that a query waits for others to form a batch.
    """

    # Loopback by default: a catalogue becomes public only by an explicit choice.
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    trust_proxy: bool = False
    query_chars: int = 500
    k_max: int = 100
    candidates_max: int = 1000
    photo_bytes: int = 10_000_000
    rate: float = 20.0
    burst: int = 100
    pending: int = 256
    timeout: float = 10.0
    batch_size: int = 32
    batch_wait: float = 0.002

    def __post_init__(self) -> None:
        for origin in self.cors:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise UsageError(f"cors: {origin!a} is not an origin such as https://shop.example")
        at_least_1 = ("query_chars", "k_max", "candidates_max", "photo_bytes", "burst", "pending")
        check_ranges(self, port=(0, 65_535), **dict.fromkeys(at_least_1, 1))
        check_ranges(self, rate=0, timeout=(0.001, 3600), batch_size=1, batch_wait=(0, 1))
