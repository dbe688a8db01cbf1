"""Everything that shoppers do in a catalogue of photos: queries, clicks, splits, pools, answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import xxhash

from shopsight.config import QueryGenerationConfig
from shopsight.data.split_names import TRAIN
from shopsight.errors import pluralise
from shopsight.formats.click_logs import Click
from shopsight.prepare.photos.candidate_pools import Pool, build_pools
from shopsight.prepare.photos.product_words import ProductWords, key_of, made_up_queries
from shopsight.prepare.photos.splits import (
    EVALUATION,
    SPLITS,
    Asked,
    Questions,
    count_shared_photos,
    drawn_splits,
    given_splits,
)
from shopsight.prepare.photos.writers import ProductRows
from shopsight.prepare.tables import SplitRows
from shopsight.types import IntArray, Qrels


@dataclass(frozen=True, eq=False)
class Shoppers:
    """What shoppers do in a catalogue of P products.

    Attributes:
        words: of the products.
        splits: (P,) which of `SPLITS` each product is in.
        rows: the splits as they are written.
        about: how many queries there are and where they come from, for ``data.json``.
        warnings: what a person should know.
    """

    words: ProductWords
    splits: IntArray
    rows: list[SplitRows]
    about: dict[str, object]
    warnings: list[str]


@dataclass(frozen=True, eq=False)
class Shelves:
    """Where products stand before anybody asks for them.

    Attributes:
        words: of the products.
        splits: (P,) which of `SPLITS` each product is in.
        warnings: about the splits.
    """

    words: ProductWords
    splits: IntArray
    warnings: list[str]

    @classmethod
    def of(
        cls,
        rows: ProductRows,
        photos: Sequence[bytes],
        config: QueryGenerationConfig,
        seed: int,
        *,
        as_given: bool,
    ) -> Shelves:
        """The words and the split of every product.

        Args:
            rows: the products.
            photos: a digest of the photo of each; nothing where it has none.
            config: how large the splits are.
            seed: of the draw.
            as_given: take the splits that the table names.
        """
        warnings: list[str] = []
        if as_given:
            splits = given_splits(rows.splits, warnings)
            count_shared_photos(splits, photos, warnings)
        else:
            splits = drawn_splits(rows.ids, photos, config, seed)
        return cls(ProductWords.of(rows.texts, config), splits, warnings)


def follow_shoppers(
    rows: ProductRows,
    shelves: Shelves,
    clicks: Sequence[Click] | None,
    config: QueryGenerationConfig,
    seed: int,
    *,
    from_column: bool,
) -> Shoppers:
    """Queries, clicked pairs and candidate pools; no query and no product is in two splits.

    Queries are those of the click log or of the column of queries, else they are made from texts.

    Args:
        rows: the products.
        shelves: their words and splits.
        clicks: the click log, if there is one.
        config: of queries and pools.
        seed: of everything drawn.
        from_column: whether the table has queries.
    """
    warnings = list(shelves.warnings)
    if clicks is not None:
        asked, source = _logged(rows, clicks, warnings), "log"
    elif from_column:
        asked, source = _listed(rows), "column"
    else:
        asked, source = _made_up(rows, shelves.words, config, seed, warnings), "text"
    choose = Questions(
        asked, shelves.splits, shelves.words.having_all, source == "text", config, seed
    )
    numbers = _Numbers()
    evaluation = []
    for name in EVALUATION:
        split = SPLITS.index(name)
        if (shelves.splits == split).any():
            rng = np.random.default_rng([seed, split])
            products = np.flatnonzero(shelves.splits == split)
            words = shelves.words
            pools = build_pools(
                choose.of(split), products, words.having, words.head_of, config, rng
            )
            if pools:
                evaluation.append(_evaluation_rows(name, pools, rows.ids, numbers))
            else:
                warnings.append(f"{name}: none of its products was asked for, so it has no pools")
    train, dropped = _train_rows(asked, shelves.splits, choose.taken, numbers)
    if not len(train.queries):
        warnings.append("train: no query is left to learn from")
    about = {
        "from": source,
        "distinct": len(asked),
        "dropped_from_train": dropped,
        "words_used": len(shelves.words.used) if source == "text" else None,
    }
    kept = [train, *evaluation] if len(train.queries) else evaluation
    return Shoppers(shelves.words, shelves.splits, kept, about, warnings)


class _Numbers:
    """Query ids, counted through all splits."""

    def __init__(self) -> None:
        self._next = 1

    def take(self, count: int) -> pa.Array:
        first, self._next = self._next, self._next + count
        return pa.array([str(one) for one in range(first, self._next)], pa.string())


def _logged(rows: ProductRows, clicks: Sequence[Click], warnings: list[str]) -> list[Asked]:
    place = {product_id: i for i, product_id in enumerate(rows.ids)}
    found: dict[str, list[tuple[int, int]]] = {}
    unknown = 0
    for click in clicks:
        product = place.get(click.product_id)
        if product is None:
            unknown += 1
        else:
            found.setdefault(click.query, []).append((-click.clicks, product))
    if unknown:
        pairs = pluralise(unknown, "pair")
        warnings.append(f"{pairs} of the click log left out: no such product was prepared")
    return [Asked(text, [one for _, one in sorted(pairs)]) for text, pairs in found.items()]


def _listed(rows: ProductRows) -> list[Asked]:
    found: dict[str, list[int]] = {}
    for product, queries in enumerate(rows.queries):
        for text in queries:
            found.setdefault(text, []).append(product)
    return [Asked(text, products) for text, products in found.items()]


def _made_up(
    rows: ProductRows,
    words: ProductWords,
    config: QueryGenerationConfig,
    seed: int,
    warnings: list[str],
) -> list[Asked]:
    found: dict[str, list[int]] = {}
    silent = 0
    for product, product_id in enumerate(rows.ids):
        own = [seed, xxhash.xxh3_64_intdigest(product_id.encode())]
        queries = made_up_queries(words.clean(product), config, own)
        silent += not queries
        for text in queries:
            found.setdefault(text, []).append(product)
    if silent:
        products = pluralise(silent, "product")
        reason = "no word that enough others have, so no_progress asks for them"
        warnings.append(f"{products} with {reason} (--word-fraction, --word-products)")
    return [Asked(text, products) for text, products in found.items()]


def _train_rows(
    asked: Sequence[Asked], splits: IntArray, taken: set[tuple[str, ...]], numbers: _Numbers
) -> tuple[SplitRows, int]:
    """The clicked pairs of training, and how many queries were left to evaluation instead."""
    texts: list[str] = []
    queries: list[int] = []
    products: list[int] = []
    dropped = 0
    for one in asked:
        here = [product for product in one.products if not splits[product]]
        if here and key_of(one.text) in taken:
            dropped += 1
        elif here:
            queries += [len(texts)] * len(here)
            products += here
            texts.append(one.text)
    rows = SplitRows(
        TRAIN,
        numbers.take(len(texts)),
        pa.array(texts, pa.large_string()),
        np.array(queries, np.int32),
        np.array(products, np.int32),
    )
    return rows, dropped


def _evaluation_rows(
    name: str, pools: Sequence[Pool], ids: Sequence[str], numbers: _Numbers
) -> SplitRows:
    query_ids = numbers.take(len(pools))
    relevance = {
        query_id: {ids[product]: 1 for product in sorted(pool.relevant.tolist())}
        for query_id, pool in zip(query_ids.to_pylist(), pools, strict=True)
    }
    sizes = [len(pool.candidates) for pool in pools]
    return SplitRows(
        name,
        query_ids,
        pa.array([pool.question.text for pool in pools], pa.large_string()),
        np.repeat(np.arange(len(pools), dtype=np.int32), sizes),
        np.concatenate([pool.candidates for pool in pools]).astype(np.int32),
        Qrels(relevance),
    )
