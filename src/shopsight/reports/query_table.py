"""All queries of a report: scores of every run, and the products that should have been first."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shopsight.data.dataset import PreparedData
from shopsight.types import FloatArray, Qrels, Run

_SHOWN = 3  # products of a query
_THUMB, _QUALITY = 44, 60  # height in pixels
_BUDGET = 1_500_000  # bytes of all thumbnails


@dataclass(frozen=True)
class MissedProduct:
    """A relevant product that is not among the first; ``thumb`` is a JPEG file, or empty."""

    product_id: str
    caption: str
    thumb: bytes


@dataclass(frozen=True)
class QueryRow:
    """A query with the metric of every run; ``missed`` are some of the ``missing`` products."""

    query_id: str
    text: str
    relevant: int
    values: tuple[float, ...]
    missed: tuple[MissedProduct, ...]
    missing: int


def query_table(
    data: PreparedData,
    texts: Mapping[str, str],
    run: Run,
    qrels: Qrels,
    values: Mapping[str, FloatArray],
    caption: Callable[[str], str],
) -> list[QueryRow]:
    """A row per judged query, the lowest value first.

    ``values`` has a (Q,) metric for each run of the table, last of ``run``, which misses a product
    if it does not rank it among the first R, where R is the number of relevant products.
    """
    ranking = run.to_dict()
    missed = {
        query: _missed(list(ranking.get(query, {})), grades)
        for query, grades in qrels.relevance.items()
    }
    positions = _positions(data, missed.values())
    thumbs = _thumbs(data, missed.values(), positions)
    table = zip(*(array.tolist() for array in values.values()), strict=True)
    rows = [
        QueryRow(
            query,
            texts.get(query, ""),
            sum(grade > 0 for grade in qrels.relevance[query].values()),
            row,
            tuple(
                MissedProduct(
                    product,
                    caption(product) if product in positions else "",
                    thumbs.get(product, b""),
                )
                for product in missed[query][:_SHOWN]
            ),
            len(missed[query]),
        )
        for query, row in zip(qrels.relevance, table, strict=True)
    ]
    return sorted(rows, key=lambda row: (row.values[-1], row.text, row.query_id))


def _missed(ranking: Sequence[str], grades: Mapping[str, int]) -> list[str]:
    relevant = [product for product, grade in grades.items() if grade > 0]
    first = set(ranking[: len(relevant)])
    return [product for product in relevant if product not in first]


def _positions(data: PreparedData, missed: Iterable[Sequence[str]]) -> dict[str, int]:
    """Store positions of the shown products; judgements may name products without data."""
    products = list(dict.fromkeys(product for row in missed for product in row[:_SHOWN]))
    found = zip(products, data.store.positions(products).tolist(), strict=True)
    return {product: position for product, position in found if position >= 0}


def _thumbs(
    data: PreparedData, missed: Iterable[Sequence[str]], positions: Mapping[str, int]
) -> dict[str, bytes]:
    """Small photos: the first of each query, then the second, as long as the budget lasts."""
    if data.photos is None:
        return {}
    rows, thumbs, left = list(missed), dict[str, bytes](), _BUDGET
    order = dict.fromkeys(row[i] for i in range(_SHOWN) for row in rows if len(row) > i)
    for product in order:
        jpeg = data.photos.jpeg(positions[product]) if product in positions else None
        if jpeg is None:
            continue
        thumbs[product] = _small(jpeg)
        left -= len(thumbs[product])
        if left < 0:
            break
    return thumbs


def _small(jpeg: bytes) -> bytes:
    """A thumbnail, empty for a damaged photo."""
    from PIL import Image

    file = io.BytesIO()
    with suppress(OSError), Image.open(io.BytesIO(jpeg)) as photo:
        photo.thumbnail((2 * _THUMB, _THUMB))
        photo.convert("RGB").save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue()
