"""Raw competition files for tests, and a naive reader to compare with."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HEADER = (
    b"product_id\timage_h\timage_w\tnum_boxes\tboxes\tfeatures\tclass_labels\tquery\tquery_id\n"
)
LABELS = "category_id\tcategory_name\n" + "".join(f"{i}\tlabel {i}\n" for i in range(33))
WIDTH = 4


def encode(array: np.ndarray) -> bytes:
    return base64.b64encode(array.tobytes())


@dataclass
class RawRow:
    """A row; any column can be replaced by given bytes."""

    product_id: object = 1
    image_h: object = 100
    image_w: object = 80
    regions: int = 2
    query: bytes = b"red shoes"
    query_id: object = 5
    seed: int = 0
    columns: dict[str, bytes] = field(default_factory=dict)

    def boxes(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        corner = rng.uniform(0, 30, (self.regions, 2))
        size = rng.uniform(10, 40, (self.regions, 2))
        return np.hstack([corner, corner + size]).astype("<f4")

    def features(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed + 1)
        return rng.uniform(0, 3, (self.regions, WIDTH)).astype("<f4")

    def labels(self) -> np.ndarray:
        return (np.arange(self.regions, dtype="<i8") + self.seed) % 33

    def line(self) -> bytes:
        columns = {
            "product_id": str(self.product_id).encode(),
            "image_h": str(self.image_h).encode(),
            "image_w": str(self.image_w).encode(),
            "num_boxes": str(self.regions).encode(),
            "boxes": encode(self.boxes()),
            "features": encode(self.features()),
            "class_labels": encode(self.labels()),
            "query": self.query,
            "query_id": str(self.query_id).encode(),
        }
        return b"\t".join((columns | self.columns).values())


def raw_bytes(rows: list[RawRow | bytes], end: bytes = b"\n") -> bytes:
    lines = [row if isinstance(row, bytes) else row.line() for row in rows]
    return HEADER + b"".join(line + end for line in lines)


def write_raw(folder: Path, split: str, rows: list[RawRow | bytes], end: bytes = b"\n") -> Path:
    """A raw folder with one more split; returns the split's file."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    (folder / "multimodal_labels.txt").write_text(LABELS)
    path = folder / split / f"{split}.tsv"
    path.write_bytes(raw_bytes(rows, end))
    return path


class FakeStdin:
    """Standard input that holds the given bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BufferedReader(io.BytesIO(content))


def many_rows(count: int, products: int, queries: int, first_id: int = 100) -> list[RawRow]:
    """Rows that repeat products and queries, with one to five regions."""
    rows = []
    for i in range(count):
        product, query = first_id + i * 7 % products, i % queries
        rows.append(
            RawRow(
                product_id=product,
                regions=1 + product % 5,
                seed=product,
                query=f"query {query}".encode(),
                query_id=1000 + query,
            )
        )
    return rows


@dataclass
class NaiveProduct:
    size: tuple[int, int]
    boxes: np.ndarray
    features: np.ndarray
    labels: np.ndarray


def read_naively(path: Path) -> tuple[dict[str, NaiveProduct], list[tuple[str, str, str]]]:
    """Products by id in order of appearance, and (query id, query, product id) of every row."""
    products: dict[str, NaiveProduct] = {}
    pairs = []
    for line in path.read_bytes().split(b"\n")[1:]:
        if not line:
            continue
        pid, h, w, n, boxes, features, labels, query, query_id = line.decode().split("\t")
        count = int(n)
        if pid not in products:
            products[pid] = NaiveProduct(
                (int(h), int(w)),
                np.frombuffer(base64.b64decode(boxes), "<f4").reshape(count, 4),
                np.frombuffer(base64.b64decode(features), "<f4").reshape(count, -1),
                np.frombuffer(base64.b64decode(labels), "<i8"),
            )
        pairs.append((query_id, query, pid))
    return products, pairs
