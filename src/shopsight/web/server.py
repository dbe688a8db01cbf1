"""Server process with graceful shutdown."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from shopsight.config import ServeConfig
from shopsight.errors import InputError, OutputError, UsageError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BACKLOG = 512
_MIN_TOKEN_CHARS = 16


def listen(config: ServeConfig) -> socket.socket:
    """Bind and listen on the configured address; connections queue until a server runs."""
    name = f"{config.host}:{config.port}"
    try:
        addresses = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise UsageError(f"--host {config.host}: no such address") from None
    family, _, _, _, address = addresses[0]
    try:
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OutputError(f"{name} is in use; choose another --port (0: any free)") from None
        reason = (error.strerror or "").partition(" (")[0].lower()
        raise OutputError(f"cannot listen on {name}: {reason}") from None


def url_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: ASGIApp, config: ServeConfig, ready: Callable[[], None]) -> uvicorn.Server:
    """Create a server whose ``run`` ends on SIGINT, SIGTERM or its ``should_exit``.

    ``ready`` is called once requests are accepted. Requests in progress are completed before the
    end, for at most ``config.timeout`` seconds.
    """
    settings = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        ws="none",
        lifespan="on",
        # X-Forwarded-For is believed on request only: otherwise a client could invent addresses
        # and evade its rate limit.
        proxy_headers=config.trust_proxy,
        timeout_graceful_shutdown=max(1, round(config.timeout)),
        backlog=_BACKLOG,
    )
    return _Server(settings, ready)


class _Server(uvicorn.Server):
    """Server that reports when it is ready, and for which a signal is a normal exit."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again after the shutdown, which would end a clean stop with a
        # traceback or a non-zero exit code; here the previous handlers are just restored.
        def stop(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        main = threading.current_thread() is threading.main_thread()
        previous = {number: signal.signal(number, stop) for number in _SIGNALS} if main else {}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def read_token(path: str) -> str:
    """Read a token from a file with one line."""
    try:
        token = Path(path).read_text("ascii").strip()
    except UnicodeDecodeError:
        raise InputError("a token has ASCII letters and digits only", path=path) from None
    if len(token.split()) != 1 or not token.isprintable():
        raise InputError("expected a single line with a token, without blanks", path=path)
    if len(token) < _MIN_TOKEN_CHARS:
        raise InputError(f"a token needs at least {_MIN_TOKEN_CHARS} characters", path=path)
    return token
