"""Client identity, rate limiting, authentication and host checks, independent of HTTP."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

_MAX_CLIENTS = 10_000
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def client_key(address: str) -> str:
    """Identity of a client for rate limiting: an IPv4 address or an IPv6 /64 network.

    >>> client_key("192.0.2.7"), client_key("2001:db8:1:2:3:4:5:6"), client_key("testclient")
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
    # A subscriber usually gets a whole /64: counting single addresses would give each of them
    # 2**64 separate allowances.
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))


class RateLimiter:
    """Token bucket per client: ``burst`` tokens at most, ``rate`` more per second (0: no limit)."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, cost: float = 1.0) -> float:
        """Take ``cost`` tokens: 0.0 on success, else seconds until there are enough.

        >>> limiter = RateLimiter(2.0, 1, clock=lambda: 0.0)
        >>> limiter.wait("a"), limiter.wait("a"), limiter.wait("b")
        (0.0, 0.5, 0.0)
        """
        if not self._rate:
            return 0.0
        now = self._clock()
        # pop and reinsert keeps the buckets in order of last use.
        tokens, updated = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - updated) * self._rate)
        missing = max(cost - tokens, 0.0)
        self._buckets[client] = (tokens if missing else tokens - cost, now)
        # Many spoofed addresses must not exhaust memory. The least recently seen client is
        # dropped: its bucket is the likeliest to be full, which is how a new client starts.
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return missing / self._rate


class Token:
    """Shared secret of the API, sent as a bearer token or, by the page, as a derived cookie.

    None allows every request.
    """

    COOKIE = "shopsight"

    def __init__(self, secret: str | None) -> None:
        self._secret = secret.encode() if secret is not None else None

    @property
    def required(self) -> bool:
        """Whether requests need it."""
        return self._secret is not None

    @property
    def cookie(self) -> str:
        """HMAC-SHA256 of a constant under the token: proves the token without containing it."""
        return hmac.new(self._secret or b"", b"shopsight page", hashlib.sha256).hexdigest()

    def allows(self, authorization: str, cookie: str = "") -> bool:
        """Check an Authorization header, or without a bearer token in it, the cookie.

        >>> Token("x").allows("Bearer x"), Token("x").allows("Bearer y"), Token(None).allows("")
        (True, False, True)
        """
        if self._secret is None:
            return True
        # compare_digest takes equally long wherever two secrets differ, so response times do not
        # reveal a correct prefix.
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            sent = credentials.strip().encode("utf-8", "surrogateescape")
            return hmac.compare_digest(sent, self._secret)
        return hmac.compare_digest(cookie.encode("utf-8", "replace"), self.cookie.encode())


class AllowedHosts:
    """Accepted values of the Host header: those of the listening address, and further names.

    Protects a server on loopback from DNS rebinding: a foreign page whose domain resolves to
    127.0.0.1 is same-origin with this server and could otherwise read its answers.
    """

    def __init__(self, host: str, names: tuple[str, ...] = ()) -> None:
        # A server on a public address cannot know its own names; who can reach it through
        # rebinding can reach it directly.
        loopback = is_loopback(host)
        self._any = "*" in names or (not loopback and not names)
        own = (*names, *_LOOPBACK_NAMES, *([host] if loopback else []))
        self._names = {name.lower() for name in own}

    def allows(self, host: str) -> bool:
        """Check a Host header's value; the port does not matter.

        >>> own = AllowedHosts("127.0.0.1")
        >>> own.allows("localhost:8000"), own.allows("evil.example")
        (True, False)
        """
        name = f"{host.partition(']')[0]}]" if host.startswith("[") else host.partition(":")[0]
        return self._any or name.lower() in self._names


def is_loopback(host: str) -> bool:
    """Check whether an address is reachable from this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
