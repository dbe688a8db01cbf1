"""Queries, splits, training pairs and candidate pools of a catalogue of photos."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from shopsight.data.split_names import TRAIN
from shopsight.errors import UsageError, pluralise
from shopsight.formats.cells import whole_id
from shopsight.formats.click_logs import Click, ClickPairs
from shopsight.formats.fields import unlike_ids
from shopsight.prepare.photos.candidate_pools import Pool, build_pools
from shopsight.prepare.photos.extract_regions import StoredPhotos
from shopsight.prepare.photos.given_pools import QueryInputs
from shopsight.prepare.photos.product_words import ProductWords, generate_queries, query_key
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.prepare.photos.splits import (
    EVALUATION,
    SPLITS,
    EvalQuerySelector,
    ProductQuery,
    draw_splits,
    named_splits,
    warn_of_shared_photos,
)
from shopsight.prepare.photos.writers import ProductRows
from shopsight.prepare.tables import SplitRows
from shopsight.types import IntArray, Qrels


@dataclass(frozen=True, eq=False)
class QueriesAndSplits:
    """Queries and splits of P products."""

    words: ProductWords
    splits: IntArray  # (P,) index of each product's split in `SPLITS`
    rows: list[SplitRows]
    info: dict[str, object]  # number and origin of the queries, for ``data.json``
    warnings: list[str]

    def training_words(self) -> tuple[IntArray, list[list[str]]]:
        """The n training products, and the words of each one's text and training queries."""
        words: list[set[str]] = [set(own) for own in self.words.word_sets]
        for split in self.rows:
            if split.name == TRAIN:
                keys = [query_key(text) for text in split.texts.to_pylist()]
                for query, product in zip(split.queries, split.products, strict=True):
                    words[product].update(keys[query])
        products = np.flatnonzero(self.splits == 0)
        return products, [sorted(words[i]) for i in products.tolist()]


def read_queries_and_splits(
    partial: Path, settings: PhotosSettings, inputs: QueryInputs
) -> tuple[ProductRows, QueriesAndSplits]:
    """The stored products of a preparation, with their queries and splits."""
    rows = ProductRows(partial)
    return rows, make_queries_and_splits(rows, StoredPhotos(partial).digests(), settings, inputs)


def make_queries_and_splits(
    rows: ProductRows,
    photos: Sequence[bytes],
    settings: PhotosSettings,
    inputs: QueryInputs | None = None,
) -> QueriesAndSplits:
    """Queries, training pairs and pools; no query and no product is in two splits.

    Queries come from the click log, else from the query column, else from the texts. ``photos``
    (P,) are digests of the products' photos, empty for products without one. Given pools are taken
    as they are, and training keeps all queries.
    """
    config, seed, inputs = settings.queries, settings.seed, inputs or QueryInputs()
    warnings: list[str] = []
    if settings.columns.split_column:
        splits = named_splits(rows.splits, warnings)
        warn_of_shared_photos(splits, photos, warnings)
    else:
        splits = draw_splits(rows.ids, photos, config, seed)
    words = ProductWords.from_texts(rows.texts, config)
    queries, origin = _all_queries(rows, words, settings, inputs.clicks, warnings)
    if inputs.pools:
        evaluation = [pools.rows(rows.ids, splits) for pools in inputs.pools]
        taken = {query for split in evaluation for query in split.query_ids.to_pylist()}
        train_ids = (query for query in map(str, itertools.count(1)) if query not in taken)
        train, dropped = _train_rows(queries, splits, set(), train_ids)
        warnings += _shared_queries(train, evaluation)
    else:
        selector = EvalQuerySelector(queries, splits, words, origin == "text", config, seed)
        query_ids = map(str, itertools.count(1))  # distinct across all splits
        evaluation = []
        for name in EVALUATION:
            pools = _generated_pools(name, selector, (splits, words), settings, warnings)
            if pools:
                evaluation.append(_evaluation_rows(name, pools, rows.ids, query_ids))
        train, dropped = _train_rows(queries, splits, selector.taken, query_ids)
    if not len(train.queries):
        warnings.append("train: no query is left to learn from")
    info = {
        "from": origin,
        "distinct": len(queries),
        "dropped_from_train": dropped,
        "words_used": len(words.vocabulary) if origin == "text" else None,
    }
    kept = [train, *evaluation] if len(train.queries) else evaluation
    return QueriesAndSplits(words, splits, kept, info, warnings)


def _generated_pools(
    name: str,
    selector: EvalQuerySelector,
    products: tuple[IntArray, ProductWords],
    settings: PhotosSettings,
    warnings: list[str],
) -> list[Pool]:
    """The pools of an evaluation split, from the splits and the words of P products."""
    splits, words = products
    split = SPLITS.index(name)
    members = np.flatnonzero(splits == split)
    if not len(members):
        return []
    # A generator per split: a larger valid split leaves the pools of testA as they are.
    rng = np.random.default_rng([settings.seed, split])
    pools = build_pools(selector.select(split), members, words, settings.queries, rng)
    if not pools:
        warnings.append(f"{name}: no query has a relevant product in it, so it has no pools")
    return pools


def _shared_queries(train: SplitRows, evaluation: Sequence[SplitRows]) -> list[str]:
    known = set(map(query_key, train.texts.to_pylist()))
    shared = {s.name: sum(query_key(q) in known for q in s.texts.to_pylist()) for s in evaluation}
    return [
        f"{name}: {pluralise(count, 'query', 'queries')} of the given pools also in train"
        for name, count in shared.items()
        if count
    ]


def _all_queries(
    rows: ProductRows,
    words: ProductWords,
    settings: PhotosSettings,
    log: ClickPairs | None,
    warnings: list[str],
) -> tuple[list[ProductQuery], str]:
    """Every query with its products, and the origin: log, column or text."""
    if log is not None:
        warnings.extend(log.warnings)
        return _from_log(rows, log.clicks, warnings), "log"
    if settings.columns.queries:
        return _grouped(enumerate(rows.queries)), "column"
    # Seeded by the product's id, so that its queries do not depend on its row.
    queries = [
        generate_queries(
            words.query_words(product),
            settings.queries,
            [settings.seed, xxhash.xxh3_64_intdigest(product_id.encode())],
        )
        for product, product_id in enumerate(rows.ids)
    ]
    silent = sum(not texts for texts in queries)
    if silent:
        products = pluralise(silent, "product")
        reason = "without a word that enough products share: no query is generated"
        warnings.append(f"{products} {reason} (--word-fraction, --word-products)")
    return _grouped(enumerate(queries)), "text"


def _from_log(
    rows: ProductRows, clicks: Sequence[Click], warnings: list[str]
) -> list[ProductQuery]:
    # Exact ids first: "7" and "7.0" may be two products.
    index = {whole_id(product_id): i for i, product_id in enumerate(rows.ids)}
    index |= {product_id: i for i, product_id in enumerate(rows.ids)}
    products: dict[str, list[tuple[int, int]]] = {}
    unknown: list[str] = []
    for click in clicks:
        product = index.get(click.product_id, index.get(whole_id(click.product_id)))
        if product is None:
            unknown.append(click.product_id)
        else:
            products.setdefault(click.query, []).append((-click.clicks, product))
    if unknown:
        prepared, clicked, alike = unlike_ids(rows.ids, unknown)
        spelling = f" (the log has {clicked!r}, the products {prepared!r}{alike})"
        if not products:
            raise UsageError(f"no product of the click log was prepared{spelling}")
        pairs = pluralise(len(unknown), "pair")
        reason = f"no such product was prepared{spelling if alike else ''}"
        warnings.append(f"{pairs} of the click log left out: {reason}")
    # A log may spell one id in two ways.
    return [
        ProductQuery(text, list(dict.fromkeys(product for _, product in sorted(pairs))))
        for text, pairs in products.items()
    ]


def _grouped(queries: Iterable[tuple[int, Sequence[str]]]) -> list[ProductQuery]:
    products: dict[str, list[int]] = {}
    for product, texts in queries:
        for text in texts:
            products.setdefault(text, []).append(product)
    return [ProductQuery(text, found) for text, found in products.items()]


def _train_rows(
    queries: Sequence[ProductQuery],
    splits: IntArray,
    taken: set[tuple[str, ...]],
    query_ids: Iterator[str],
) -> tuple[SplitRows, int]:
    """The training pairs, and the number of queries left out because evaluation uses them."""
    texts: list[str] = []
    query_idx: list[int] = []
    product_idx: list[int] = []
    dropped = 0
    for query in queries:
        products = [product for product in query.products if not splits[product]]
        if products and query_key(query.text) in taken:
            dropped += 1
        elif products:
            query_idx += [len(texts)] * len(products)
            product_idx += products
            texts.append(query.text)
    rows = SplitRows(
        TRAIN,
        pa.array(itertools.islice(query_ids, len(texts)), pa.string()),
        pa.array(texts, pa.large_string()),
        np.array(query_idx, np.int32),
        np.array(product_idx, np.int32),
    )
    return rows, dropped


def _evaluation_rows(
    name: str, pools: Sequence[Pool], ids: Sequence[str], query_ids: Iterator[str]
) -> SplitRows:
    pool_ids = list(itertools.islice(query_ids, len(pools)))
    relevance = {
        query_id: {ids[product]: 1 for product in sorted(pool.relevant.tolist())}
        for query_id, pool in zip(pool_ids, pools, strict=True)
    }
    sizes = [len(pool.candidates) for pool in pools]
    return SplitRows(
        name,
        pa.array(pool_ids, pa.string()),
        pa.array([pool.query.text for pool in pools], pa.large_string()),
        np.repeat(np.arange(len(pools), dtype=np.int32), sizes),
        np.concatenate([pool.candidates for pool in pools]).astype(np.int32),
        Qrels(relevance),
    )
