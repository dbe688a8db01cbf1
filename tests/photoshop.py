"""A small shop for tests: photos of one colour each, in every kind of table; and an extractor."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shopsight.config import PhotosConfig, QueryGenerationConfig
from shopsight.prepare.photos.extract_regions import RegionSource
from shopsight.prepare.photos.settings import PhotosSettings

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 160, 60),
    "blue": (40, 60, 200),
    "black": (20, 20, 20),
    "white": (240, 240, 240),
    "yellow": (230, 210, 40),
}
KINDS = ("dress", "shirts", "shoes", "bag", "lamp")


@dataclass(frozen=True)
class Item:
    """A product: its colour, its kind, and a photo that differs from all others in one pixel."""

    number: int

    @property
    def id(self) -> str:
        return f"{self.number:05d}"

    @property
    def colour(self) -> str:
        return list(COLOURS)[self.number % len(COLOURS)]

    @property
    def kind(self) -> str:
        return KINDS[self.number // len(COLOURS) % len(KINDS)]

    @property
    def title(self) -> str:
        return f"Brand{self.number} {self.colour} {self.kind}"

    @property
    def jpeg(self) -> bytes:
        image = Image.new("RGB", (24, 32), COLOURS[self.colour])
        image.putpixel((self.number % 24, self.number // 24 % 32), (255, 0, 255))
        return saved(image, "JPEG", quality=95)

    @property
    def row(self) -> dict[str, Any]:
        """Its columns beside the photo."""
        return {
            "sku": self.id,
            "title": self.title,
            "price": self.number + 0.5,
            "in_stock": self.number % 3 > 0,
            "stock": self.number,
            "note": "" if self.number % 2 else 'has "quotes", commas\nand lines',
        }


def items(count: int) -> list[Item]:
    return [Item(number) for number in range(count)]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def write_csv(folder: Path, shop: Sequence[Item], name: str = "shop.csv") -> Path:
    """A CSV table with paths, and the photos in ``photos/``."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    with open(folder / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *shop[0].row])
        for item in shop:
            (folder / "photos" / f"{item.id}.jpg").write_bytes(item.jpeg)
            values = [str(v).lower() if isinstance(v, bool) else v for v in item.row.values()]
            writer.writerow([f"photos/{item.id}.jpg", *values])
    return folder / name


def write_imagefolder(folder: Path, shop: Sequence[Item]) -> Path:
    """Photos with ``metadata.csv`` beside them."""
    table = write_csv(folder, shop, "metadata.csv")
    text = table.read_text().replace("image,", "file_name,", 1).replace("photos/", "")
    table.write_text(text)
    for photo in (folder / "photos").iterdir():
        photo.rename(folder / photo.name)
    (folder / "photos").rmdir()
    return folder


def write_parquet(folder: Path, shop: Sequence[Item], name: str = "shop.parquet") -> Path:
    """Parquet with the photos inside, as Hugging Face writes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    photos = [{"bytes": item.jpeg, "path": f"{item.id}.jpg"} for item in shop]
    table = pa.table({"image": photos}).append_column("sku", [[item.id for item in shop]])
    for key in list(shop[0].row)[1:]:
        table = table.append_column(key, [[item.row[key] for item in shop]])
    pq.write_table(table, folder / name, row_group_size=7)
    return folder / name


def write_json_lines(folder: Path, shop: Sequence[Item]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for item in shop:
        (folder / f"{item.id}.jpg").write_bytes(item.jpeg)
        lines.append(json.dumps({"image": {"path": f"{item.id}.jpg"}, **item.row}))
    (folder / "shop.jsonl").write_text("\n".join(lines))
    return folder / "shop.jsonl"


@dataclass
class Regions:
    boxes: np.ndarray
    features: np.ndarray
    labels: np.ndarray


@dataclass
class Means:
    """An extractor: mean colours of the photo and of its halves."""

    in_workers: bool = True
    name: str = "means"
    width: int = 16
    label_names: tuple[str, ...] = ("photo", "half")

    def extract(self, photos: Sequence[np.ndarray]) -> list[Regions]:
        return [self._regions(photo) for photo in photos]

    def _regions(self, photo: np.ndarray) -> Regions:
        height, width = photo.shape[:2]
        boxes = np.array(
            [[0, 0, height, width], [0, 0, height // 2, width], [height // 2, 0, height, width]],
            np.float32,
        )
        features = np.zeros((3, self.width), np.float32)
        for row, (top, left, bottom, right) in enumerate(boxes.astype(int)):
            features[row, :3] = photo[top:bottom, left:right].reshape(-1, 3).mean(0) / 255
        features[:, 3] = 1
        return Regions(boxes, features, np.array([0, 1, 1], np.int16))

    def save(self, folder: Path) -> None:
        (folder / "settings.json").write_text(json.dumps({"in_workers": self.in_workers}))


def load_means(folder: Path) -> Means:
    return Means(**json.loads((folder / "settings.json").read_text()))


def means(in_workers: bool = True) -> RegionSource:
    """Regions by `Means`."""
    return RegionSource({"name": "means"}, lambda: Means(in_workers), load_means)


def settings(workers: int = 1, **options: Any) -> PhotosSettings:
    """Settings for the small shop: queries of words that three products share."""
    queries = {"word_fraction": 0.0, "word_products": 3, "pool_size": 10, "relevant": 3, **options}
    return PhotosSettings(
        PhotosConfig(workers=workers, vocabulary_size=200),
        queries=QueryGenerationConfig(**queries),
    )
