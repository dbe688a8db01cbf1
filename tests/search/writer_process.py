"""Change an index repeatedly until killed; run by a test in a separate process."""

from __future__ import annotations

import random
import sys

from shopsight.data.dataset import PreparedData
from shopsight.search.index import compact_index, remove_products, update_products


def main(index: str, datas: list[str], seed: int) -> None:
    rng = random.Random(seed)
    versions = [PreparedData.open(path) for path in datas]
    turn = 0
    while True:
        if turn == 1:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
        turn += 1
        update_products(index, versions[turn % len(versions)])
        if rng.random() < 0.3:
            compact_index(index)
        if rng.random() < 0.3:
            ids = versions[0].store.product_ids
            remove_products(index, rng.sample(ids, 5))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:], int(sys.argv[2]))
