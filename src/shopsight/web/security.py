"""Who may ask, how often, and by what name: decisions only, no HTTP."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

_CLIENTS = 10_000
_OWN = ("localhost", "127.0.0.1", "[::1]")


def client_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or an IPv6 network of 64 bits.

    >>> client_of("192.0.2.7"), client_of("2001:db8:1:2:3:4:5:6"), client_of("testclient")
    ('192.0.2.7', '2001:db8:1:2::', 'testclient')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))


class Rate:
    """A bucket of tokens for each client; memory is bounded by forgetting the longest silent.

    Args:
        rate: tokens that a client gains each second; 0 is no limit.
        burst: tokens that a client can hold.
        clock: seconds from any beginning.
    """

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, cost: float = 1.0) -> float:
        """Take ``cost`` tokens of a client: 0.0 if it had them, else the seconds until it has.

        >>> rate = Rate(2.0, 1, clock=lambda: 0.0)
        >>> rate.wait("a"), rate.wait("a"), rate.wait("b")
        (0.0, 0.5, 0.0)
        """
        if not self._rate:
            return 0.0
        now = self._clock()
        held, then = self._buckets.pop(client, (self._burst, now))
        held = min(self._burst, held + (now - then) * self._rate)
        lacking = max(cost - held, 0.0)
        self._buckets[client] = (held if lacking else held - cost, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return lacking / self._rate


class Token:
    """The one secret that opens the API, in a header or, for the page, as a cookie made of it.

    Args:
        secret: the token; None where anyone may ask.
    """

    COOKIE = "shopsight"

    def __init__(self, secret: str | None) -> None:
        self._secret = secret.encode() if secret is not None else None

    @property
    def cookie(self) -> str:
        """What the page's cookie holds: it proves the token and does not tell it."""
        return hmac.new(self._secret or b"", b"shopsight page", hashlib.sha256).hexdigest()

    def allows(self, authorization: str, cookie: str = "") -> bool:
        """Whether a request with these headers may go on.

        >>> Token("x").allows("Bearer x"), Token("x").allows("Bearer y"), Token(None).allows("")
        (True, False, True)
        """
        if self._secret is None:
            return True
        kind, _, given = authorization.partition(" ")
        if kind.lower() == "bearer":
            sent = given.strip().encode("utf-8", "surrogateescape")
            return hmac.compare_digest(sent, self._secret)
        return hmac.compare_digest(cookie.encode("utf-8", "replace"), self.cookie.encode())


class Names:
    """The names that a request may call the server by.

    A page of somebody else's that gets its own name resolved to this machine could otherwise
    read what listens on loopback.

    Args:
        host: the address that is listened on.
        names: further names; ``"*"`` is any.
    """

    def __init__(self, host: str, names: tuple[str, ...] = ()) -> None:
        own = is_loopback(host)
        self._any = "*" in names or (not own and not names)
        self._known = {name.lower() for name in (*names, *_OWN, *([host] if own else []))}

    def allows(self, host: str) -> bool:
        """Whether a Host header's value is one of the names, whatever the port.

        >>> Names("127.0.0.1").allows("localhost:8000"), Names("127.0.0.1").allows("evil.example")
        (True, False)
        """
        return self._any or _without_port(host).lower() in self._known


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
