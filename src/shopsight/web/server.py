"""One process that listens, and stops in order when it is told to."""

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


def listen(config: ServeConfig) -> socket.socket:
    """A socket that is bound to the configured address; no request is accepted yet.

    Raises:
        OutputError: the address cannot be listened on.
    """
    where = f"{config.host}:{config.port}"
    try:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise UsageError(f"--host {config.host}: no such address") from None
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise OutputError(f"{where} is taken; choose another --port (0 finds one)") from None
        raise OutputError(f"cannot listen on {where}: {(error.strerror or '').lower()}") from None
    return bound


def url_of(bound: socket.socket) -> str:
    """What to type into a browser for a listening socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: ASGIApp, config: ServeConfig, ready: Callable[[], None]) -> uvicorn.Server:
    """A server that answers once it is run, until SIGINT or SIGTERM or its ``should_exit``.

    Requests under way are answered before it ends.

    Args:
        app: the application.
        config: its time limit is also how long stopping may take.
        ready: called once requests are answered.
    """
    settings = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        ws="none",
        lifespan="on",
        proxy_headers=config.trust_proxy,
        timeout_graceful_shutdown=max(1, round(config.timeout)),
        backlog=_BACKLOG,
    )
    return _Server(settings, ready)


class _Server(uvicorn.Server):
    """Ends quietly: being told to stop is how a server is meant to end."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        main = threading.current_thread() is threading.main_thread()
        before = {one: signal.signal(one, stop) for one in _SIGNALS} if main else {}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def read_token(path: str) -> str:
    """The token of a file: its one line.

    Raises:
        InputError: the file is empty, too short to be a secret, or no text.
    """
    try:
        token = Path(path).read_text("ascii").strip()
    except UnicodeDecodeError:
        raise InputError("a token has ASCII letters and digits only", path=path) from None
    if len(token.split()) != 1 or not token.isprintable():
        raise InputError("should hold one token on one line, without blanks", path=path)
    if len(token) < 16:
        raise InputError("a token needs at least 16 characters", path=path)
    return token
