"""Settings of the server: where it listens, and what it allows."""

from __future__ import annotations

from dataclasses import dataclass

from shopsight.config.checks import check_ranges


@dataclass(frozen=True)
class ServeConfig:
    """How an index is served.

    Args:
        host: address to listen on; 127.0.0.1 can be reached from this machine alone.
        port: port to listen on; 0 takes a free one.
        allowed_hosts: additional values of the Host header; any is allowed where ``host`` is not a
            loopback address.
        trust_proxy: believe what a proxy on this machine says about the client's address.
        query_chars: longest query, in characters.
        k_max: most hits of one answer.
        candidates_max: most candidates ranked again for one answer.
        photo_bytes: largest photo that may be sent.
        rate: requests a client may make each second, in the long run; 0 is any number. A photo
            counts a tenth.
        burst: requests a client may make at once.
        pending: requests under way at once; further ones are turned away.
        timeout: seconds until a request is given up.
        batch_size: most queries that are searched together.
        batch_wait: seconds a query waits for others to join it.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
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
        """Refuse numbers that make no sense."""
        at_least_1 = ("query_chars", "k_max", "candidates_max", "photo_bytes", "burst", "pending")
        check_ranges(self, port=(0, 65_535), **dict.fromkeys(at_least_1, 1))
        check_ranges(self, rate=0, timeout=(0.001, 3600), batch_size=1, batch_wait=(0, 1))
