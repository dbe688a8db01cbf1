"""``shopsight serve``: serve an index over HTTP."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

from shopsight.cli.parser import Parser, config_from
from shopsight.config import ServeConfig
from shopsight.errors import UsageError

_NEEDS = ("faiss", "fastapi", "prometheus_client", "uvicorn")


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight serve``."""
    parser = Parser(
        "serve",
        "Serve an index: a search page, an HTTP API (described at /docs), /health, and /metrics"
        " for Prometheus. Listens on this machine only unless --host is given.",
        [
            "serve index",
            "serve index --port 9000 --token-file token.txt",
            "serve index --host 0.0.0.0 --token-file token.txt --allowed-hosts shop.example",
            "serve index --log searches.jsonl --access-log - --cors https://shop.example",
            "serve index --engine http://127.0.0.1:19530",
        ],
        json=False,
    )
    parser.add_argument("index", metavar="INDEX", help="index folder (see `shopsight index`)")
    parser.add_argument(
        "--token-file", metavar="F", help="file with the bearer token that clients must send"
    )
    parser.add_argument("--engine", metavar="URL", help="retrieval engine such as Milvus")
    parser.add_argument(
        "--log", metavar="F", help="append searches and events to this file, for `shopsight judge`"
    )
    parser.add_argument(
        "--access-log", metavar="F", help="append a JSON line per request to this file; -: stdout"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the models")
    parser.add_class_arguments(ServeConfig, None)
    _serve(parser.read(argv))


def _serve(args: Any) -> None:
    check_installed()
    config = config_from(ServeConfig, args)

    import faiss
    import torch

    from shopsight.search.searcher import Searcher
    from shopsight.web.app import create_app
    from shopsight.web.jsonlog import JsonLog, QueryLog
    from shopsight.web.security import is_loopback
    from shopsight.web.server import listen, make_server, read_token, url_of

    if args.threads < 1:
        raise UsageError("--threads must be at least 1")
    token = read_token(args.token_file) if args.token_file else None
    if token is None and not is_loopback(config.host):
        logging.getLogger("shopsight").warning(
            "anyone who can reach %s can search; --token-file requires a token", config.host
        )
    log = QueryLog(args.log) if args.log else None
    access_log = JsonLog(args.access_log) if args.access_log else None
    torch.set_num_threads(args.threads)
    faiss.omp_set_num_threads(args.threads)
    # Listening comes first: a taken port is reported at once, not after the models are loaded.
    with listen(config) as listener:
        searcher = Searcher.open(args.index, args.engine)
        products = searcher.info()["products"]

        def ready() -> None:
            if not args.quiet:
                print(f"{products:,} products at {url_of(listener)} (Ctrl-C stops)", flush=True)

        try:
            app = create_app(searcher, config, token, log, access_log)
            make_server(app, config, ready).run(sockets=[listener])
        finally:
            searcher.close()
    if not args.quiet:
        print("stopped")


def check_installed() -> None:
    """Check that the packages for serving are installed; raises UsageError."""
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"serving needs {', '.join(missing)}; install with: pip install 'shopsight[search]'"
        )
