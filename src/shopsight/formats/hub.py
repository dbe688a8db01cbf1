"""Access to the Hugging Face hub: an immediate answer without a network, one line per message."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies


@contextmanager
def hub_access() -> Iterator[None]:
    """Let the libraries of the hub work in the block.

    Without a network they use what they have in their caches, instead of retrying for half a
    minute. Their messages go to the handlers of this process only, not to their own as well.
    """
    from huggingface_hub import constants

    flags: list[Any] = [constants]
    if "datasets" in sys.modules:
        flags.append(sys.modules["datasets"].config)
    was_offline = [module.HF_HUB_OFFLINE for module in flags]
    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    handlers = [list(logger.handlers) for logger in loggers]
    try:
        for module in flags:
            module.HF_HUB_OFFLINE |= not _is_reachable(constants.ENDPOINT)
        for logger in loggers:
            logger.handlers.clear()
        yield
    finally:
        for module, flag in zip(flags, was_offline, strict=True):
            module.HF_HUB_OFFLINE = flag
        for logger, own in zip(loggers, handlers, strict=True):
            logger.handlers[:] = own


def _is_reachable(url: str) -> bool:
    """Whether the name of a server can be resolved; a proxy does that itself."""
    if getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(url).hostname, None)
    except OSError:
        return False
    return True
