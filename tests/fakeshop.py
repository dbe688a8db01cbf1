"""A fake `Searcher` over a small shop of drawn products, without models.

It matches words with product attributes, so its results are known, and it can delay and fail on
demand. A real index takes minutes to train; tests/search/test_serving.py serves one.
"""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from PIL import Image, ImageDraw

from shopsight.search.errors import FilterError, PhotoError, UnknownProductError
from shopsight.search.options import SearchOptions
from shopsight.search.results import Explanation, Facet, Hit, Product, Results, WordMatched
from shopsight.types import Box

COLOURS = {
    "red": (190, 48, 52), "navy": (38, 58, 105), "olive": (104, 112, 62),
    "mustard": (208, 158, 52), "black": (40, 40, 44), "teal": (32, 122, 122),
    "blush": (222, 168, 164), "white": (236, 234, 228),
}  # fmt: skip
KINDS = ("dress", "shirt", "boots", "handbag", "hat", "trousers")
PATTERNS = ("plain", "striped", "dotted")
LEFT_OUT = {"the", "and", "a", "with", "for"}
_WHOLE = {
    "dress": (0.10, 0.22, 0.92, 0.78), "shirt": (0.14, 0.14, 0.80, 0.86),
    "boots": (0.30, 0.16, 0.86, 0.84), "handbag": (0.16, 0.16, 0.84, 0.84),
    "hat": (0.28, 0.10, 0.72, 0.90), "trousers": (0.08, 0.26, 0.94, 0.74),
}  # fmt: skip


class FakeShop:
    """Products drawn with simple shapes.

    Args:
        delay: seconds per search.
        photos: False for a shop without any photo.
    """

    def __init__(self, delay: float = 0.0, photos: bool = True) -> None:
        self.delay, self.has_photos = delay, photos
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.hold = threading.Event()
        self.hold.set()
        self.products: dict[str, dict[str, Any]] = {}
        for i, (kind, colour, pattern) in enumerate(itertools.product(KINDS, COLOURS, PATTERNS)):
            title = f"{colour.title()} {'' if pattern == 'plain' else pattern + ' '}{kind}"
            self.products[str(1000 + i)] = {
                "title": title, "kind": kind, "colour": colour, "pattern": pattern,
                "price": round(19.5 + (i * 37) % 180, 2), "in_stock": i % 7 != 3,
                "link": f"https://www.shop.example/p/{1000 + i}/" if i % 2 == 0 else "javascript:1",
            }  # fmt: skip

    def search(self, query: str, k: int = 10, **options: Any) -> Results:
        return self.search_many([query], k, **options)[0]

    def search_many(self, queries: Sequence[str], k: int = 10, **given: Any) -> list[Results]:
        options = SearchOptions(k, **given)
        self.batches.append(len(queries))
        self.threads.add(threading.current_thread().name)
        self.hold.wait(30)
        if self.delay:
            time.sleep(self.delay)
        if any("!crash" in query for query in queries):
            raise RuntimeError("/secret/place/index.json: broken")
        return [self._search(query, options) for query in queries]

    def similar(self, product_id: str, k: int = 10, **given: Any) -> Results:
        fields = self._fields(product_id)
        query = f"{fields['colour']} {fields['pattern']} {fields['kind']}"
        results = self._search(query, SearchOptions(k, **given), {product_id})
        return replace(results, query=product_id, unknown_words=())

    def search_photo(self, photo: bytes, k: int = 10, **given: Any) -> Results:
        try:
            image = Image.open(io.BytesIO(photo))
            if image.width * image.height > 40_000_000:
                raise PhotoError("the photo has more than 40,000,000 pixels")
            middle = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
        except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PhotoError("the photo cannot be read") from error
        colour = min(COLOURS, key=lambda name: sum(
            (a - b) ** 2 for a, b in zip(COLOURS[name], middle, strict=True)))  # fmt: skip
        return replace(self._search(colour, SearchOptions(k, **given)), query="", unknown_words=())

    def product(self, product_id: str) -> Product:
        fields = self._fields(product_id)
        return Product(product_id, fields, boxes_of(fields["kind"]), self.has_photos)

    def photo(self, product_id: str) -> bytes | None:
        fields = self._fields(product_id)
        return (
            draw(fields["kind"], fields["colour"], fields["pattern"]) if self.has_photos else None
        )

    def facets(self) -> tuple[Facet, ...]:
        return _facets(self.products.values())

    def info(self) -> dict[str, Any]:
        return {
            "products": len(self.products), "generation": 1, "candidates": 200,
            "models": {"dual": 0.6, "word-match": 0.4},
            "engine": "embedded", "photos": self.has_photos, "fields": True,
            "regions": True, "extractor": True, "shopsight": "0",
        }  # fmt: skip

    def close(self) -> None:
        pass

    def _fields(self, product_id: str) -> dict[str, Any]:
        if product_id not in self.products:
            raise UnknownProductError(product_id)
        return self.products[product_id]

    def _search(self, query: str, options: SearchOptions, without: Collection[str] = ()) -> Results:
        searched = query.replace("drses", "dress") if options.correct else query
        words = searched.split()
        known = {*KINDS, *COLOURS, *PATTERNS} | LEFT_OUT
        hits, every = [], []
        first = next(iter(self.products.values()))
        _meets(first, options.filters)  # an unknown field, even so
        if options.sort.removeprefix("-") not in ("", *first):
            raise FilterError(f"unknown field {options.sort!a}")
        for product_id, fields in self.products.items():
            features = {fields["kind"], fields["colour"], fields["pattern"]}
            terms = [word.lower().strip(",.") for word in words]
            score = sum(term in features for term in terms) / max(len(terms), 1)
            if (score == 0 and words) or product_id in without:
                continue
            every.append(fields)
            if _meets(fields, options.filters):
                contributions = {"dual": 0.6 * score, "word-match": 0.4 * score - 0.05}
                why = _explanation(words, fields, known) if options.explain else None
                hits.append(Hit(product_id, score - 0.05, fields, contributions, why))
        hits.sort(key=lambda hit: -hit.score)
        if field := options.sort.removeprefix("-"):
            hits.sort(key=lambda hit: hit.fields[field], reverse=options.sort.startswith("-"))
        unknown = tuple(word for word in words if word.lower().strip(",.") not in known)
        seconds = {"encode": 0.004, "retrieve": 0.001, "rerank": 0.03}
        facets = _facets(every, options.filters) if options.facets else ()
        page = tuple(hits[options.offset : options.depth])
        results = Results(query, page, unknown, seconds, len(hits), options.offset, facets=facets)
        return results if searched == query else replace(results, corrected=searched)


def _facets(products: Collection[dict[str, Any]], filters: Any = ()) -> tuple[Facet, ...]:
    """The counts of each field among the products that meet the filters of the others."""

    def met(name: str) -> list[Any]:
        others = [item for item in filters if item[0] != name]
        return [fields[name] for fields in products if _meets(fields, others)]

    def counts(name: str) -> dict[str, int]:
        values = met(name)
        return {value: values.count(value) for value in sorted(set(values))}

    prices, stock = met("price"), met("in_stock")
    return (
        Facet("kind", "choice", counts("kind")),
        Facet("colour", "choice", counts("colour")),
        Facet("pattern", "choice", counts("pattern")),
        Facet("price", "number", {}, min(prices, default=None), max(prices, default=None)),
        Facet("in_stock", "flag", {"true": sum(stock), "false": len(stock) - sum(stock)}),
        Facet("title", "text"),
        Facet("link", "text"),
    )


def _meets(fields: dict[str, Any], filters: Any) -> bool:
    for name, values in filters:
        field = name.removeprefix("-")
        if field not in ("kind", "colour", "pattern", "price", "in_stock", "title", "link"):
            raise FilterError(f"unknown field {field!a}")
        if any(_fits(fields[field], value) for value in values) == name.startswith("-"):
            return False
    return True


def _explanation(words: list[str], fields: dict[str, Any], known: set[str]) -> Explanation:
    features = {fields["kind"]: 0, fields["colour"]: 0, fields["pattern"]: 1}
    weighed = [word for word in words if word.lower() not in LEFT_OUT]
    total = sum(len(word) for word in weighed) or 1
    matched = []
    for word in words:
        low = word.lower().strip(",.")
        if low in LEFT_OUT:
            matched.append(WordMatched(word, 0.0, None, None, True))
        else:
            hit = low in features
            matched.append(WordMatched(word, len(word) / total, 0.82 if hit else 0.12,
                                       features.get(low, 2), low in known))  # fmt: skip
    return Explanation(tuple(matched), boxes_of(fields["kind"]))


def _fits(value: Any, expected: str) -> bool:
    if isinstance(value, bool):
        return expected == str(value).lower()
    if isinstance(value, float):
        low, dots, high = expected.partition("..")
        try:
            if expected.startswith(("<=", ">=")):
                limit = float(expected[2:])
                return value <= limit if expected[0] == "<" else value >= limit
            if not dots:
                return value == float(low)
            return float(low or "-inf") <= value <= float(high or "inf")
        except ValueError:
            raise FilterError(f"price is a number, not {expected!a}") from None
    return str(value).lower() == expected.lower()


def boxes_of(kind: str) -> tuple[Box, ...]:
    """Three regions: the whole product, its middle, its top."""
    top, left, bottom, right = _WHOLE[kind]
    high, wide = bottom - top, right - left
    return (
        Box(top, left, bottom, right),
        Box(top + high * 0.35, left + wide * 0.15, top + high * 0.75, right - wide * 0.15),
        Box(top, left + wide * 0.25, top + high * 0.3, right - wide * 0.25),
    )


@cache
def draw(kind: str, colour: str, pattern: str, size: tuple[int, int] = (240, 320)) -> bytes:
    """A product's photo as a JPEG file."""
    wide, high = size
    image = Image.new("RGB", size, (246, 245, 242))
    mask = Image.new("L", size, 0)
    pen = ImageDraw.Draw(mask)
    for points in _OUTLINES[kind]:
        scaled = [(x * wide, y * high) for x, y in points]
        (pen.polygon if len(points) > 2 else pen.ellipse)(scaled, fill=255)
    cloth = Image.new("RGB", size, COLOURS[colour])
    ink = tuple(min(255, c + 70) if sum(COLOURS[colour]) < 500 else c - 60 for c in COLOURS[colour])
    brush = ImageDraw.Draw(cloth)
    if pattern == "striped":
        for y in range(0, high, 22):
            brush.rectangle((0, y, wide, y + 8), fill=ink)
    elif pattern == "dotted":
        for y, x in itertools.product(range(8, high, 26), range(8, wide, 26)):
            brush.ellipse((x, y, x + 10, y + 10), fill=ink)
    image.paste(cloth, mask=mask)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


_OUTLINES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "dress": (((.38, .10), (.44, .16), (.56, .16), (.62, .10), (.66, .24), (.60, .42), (.78, .92),
               (.22, .92), (.40, .42), (.34, .24)),),
    "shirt": (((.36, .14), (.44, .19), (.56, .19), (.64, .14), (.86, .26), (.80, .42), (.70, .37),
               (.70, .80), (.30, .80), (.30, .37), (.20, .42), (.14, .26)),),
    "boots": (((.18, .30), (.40, .30), (.42, .68), (.48, .76), (.48, .86), (.16, .86)),
              ((.54, .30), (.76, .30), (.78, .68), (.84, .76), (.84, .86), (.52, .86))),
    "handbag": (((.22, .40), (.78, .40), (.84, .84), (.16, .84)),
                ((.32, .42), (.36, .18), (.64, .18), (.68, .42), (.62, .42), (.59, .24), (.41, .24),
                 (.38, .42))),
    "hat": (((.10, .58), (.90, .72)), ((.28, .28), (.72, .82))),
    "trousers": (((.30, .08), (.70, .08), (.74, .94), (.56, .94), (.50, .36), (.44, .94),
                  (.26, .94)),),
}  # fmt: skip
