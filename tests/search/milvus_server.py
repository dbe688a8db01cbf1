"""Start a real Milvus server and compare it with the embedded retriever; run by a test.

The server of PyPI's ``milvus`` listens on every address, so the test starts this script under
``unshare --net``, where loopback is the only network.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from shopsight.search.index import remove_products
from shopsight.search.retrievers.factory import load_retriever
from shopsight.search.searcher import Searcher


def main(index: str, work: str, queries: list[str]) -> None:
    from milvus import MilvusServer, MilvusServerConfig

    config = MilvusServerConfig()
    config.template_text = config.template_text.replace("  ip: #", "  ip: 127.0.0.1 #")
    server = MilvusServer(config)
    server.set_base_dir(str(Path(work) / "server"))
    server.start()
    try:
        url = f"http://127.0.0.1:{server.config.get('proxy_port')}"
        sys.stdout.write(json.dumps(compare(index, url, queries)))
    finally:
        server.stop()


def compare(index: str, url: str, queries: list[str]) -> dict[str, object]:
    """Results of both retrievers, before and after a change."""
    loaded = [load_retriever(url, index)]
    found = []
    for change in (False, True):
        if change:
            first = Searcher.open(index).search(queries[0], 1).hits[0].product_id
            remove_products(index, [first])
            loaded.append(load_retriever(url, index))
        searchers = [Searcher.open(index), Searcher.open(index, url)]
        for filters in ({}, {"price": "20..60", "in_stock": "true"}, {"category": "shoes"}):
            answers = [s.search_many(queries, 10, filters=filters) for s in searchers]
            found.append([[[hit.product_id for hit in a.hits] for a in own] for own in answers])
        for searcher in searchers:
            searcher.close()
    return {"loaded": loaded, "found": found}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
