"""Write the fashion benchmark's photos as a table for ``shopsight prepare photos``.

The benchmark's region features are left out: the photos are described anew. Products keep their
split; the 24,072 unused ones are left out. Usage::

    python scripts/fashion_photos.py FASHION OUT
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_FIRST_ID = 100_000_000  # product ids of the benchmark are this number plus the id of the photo
_FIELDS = ("gender", "masterCategory", "subCategory", "articleType", "baseColour", "usage")


def main(fashion: Path, out: Path) -> None:
    """Write ``products.parquet``, ``clicks.tsv``, and pools with answers into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    photos = pq.read_table(fashion / "photos.parquet")
    photos = photos.filter(pc.not_equal(photos["split"], "unused"))
    columns = {
        "product_id": pc.cast(pc.add(photos["id"], _FIRST_ID), pa.string()),
        "title": photos["productDisplayName"],
        **{name: photos[name] for name in _FIELDS},
        "split": photos["split"],
        "image": photos["image"],
    }
    pq.write_table(pa.table(columns), out / "products.parquet")
    shutil.copyfile(fashion / "train.pairs.tsv", out / "clicks.tsv")
    for split in ("valid", "testA"):
        shutil.copyfile(fashion / f"{split}.pairs.tsv", out / f"{split}.tsv")
    shutil.copyfile(fashion / "valid_answer.json", out / "valid_answer.json")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
