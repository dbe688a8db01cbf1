"""``shopsight serve``: an index as an HTTP API and a page."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

from shopsight.cli.options import config_from
from shopsight.cli.parser import Parser
from shopsight.config import ServeConfig
from shopsight.errors import UsageError

_NEEDS = ("faiss", "fastapi", "prometheus_client", "uvicorn")


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight serve`` with the words that follow it."""
    parser = Parser(
        "serve",
        "Serve an index: a page to search with, an HTTP API (described at /docs), /health, and"
        " /metrics for Prometheus. It listens on this machine alone unless --host says otherwise.",
        [
            "serve index",
            "serve index --port 9000 --token-file token.txt",
            "serve index --host 0.0.0.0 --token-file token.txt --allowed-hosts shop.example",
            "serve index --engine http://127.0.0.1:19530",
        ],
    )
    parser.add_argument("index", metavar="INDEX", help="folder of `shopsight index`")
    parser.add_argument(
        "--token-file", metavar="F", help="file with a token that every client has to send"
    )
    parser.add_argument("--engine", metavar="URL", help="another engine for recall, such as Milvus")
    parser.add_argument(
        "--log", metavar="F", help="append queries and clicks to this file, for `shopsight judge`"
    )
    parser.add_argument("--threads", type=int, default=1, help="processor threads of the models")
    parser.add_class_arguments(ServeConfig, None)
    _serve(parser.read(arguments))


def _serve(given: Any) -> None:
    check_installed()
    config = config_from(ServeConfig, given)

    import faiss
    import torch

    from shopsight.search.searcher import Searcher
    from shopsight.web.app import create_app
    from shopsight.web.querylog import QueryLog
    from shopsight.web.security import is_loopback
    from shopsight.web.server import listen, make_server, read_token, url_of

    if given.threads < 1:
        raise UsageError("--threads must be at least 1")
    token = read_token(given.token_file) if given.token_file else None
    if token is None and not is_loopback(config.host):
        logging.getLogger("shopsight").warning(
            "everyone who reaches %s can search; --token-file asks for a token", config.host
        )
    log = QueryLog(given.log) if given.log else None
    torch.set_num_threads(given.threads)
    faiss.omp_set_num_threads(given.threads)
    bound = listen(config)  # before the models are loaded, which takes longer
    with bound:
        searcher = Searcher.open(given.index, given.engine)
        products = searcher.info()["products"]

        def ready() -> None:
            if not given.quiet:
                print(f"{products:,} products at {url_of(bound)} (Ctrl-C stops)", flush=True)

        try:
            app = create_app(searcher, config, token, log)
            make_server(app, config, ready).run(sockets=[bound])
        finally:
            searcher.close()
    if not given.quiet:
        print("stopped")


def check_installed() -> None:
    """Refuse where what serving needs is not installed."""
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"serving needs {', '.join(missing)}; install with: pip install 'shopsight[search]'"
        )
