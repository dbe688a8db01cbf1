"""Settings of prepared data: raw files, groups of like queries, the small world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import check_ranges


@dataclass(frozen=True)
class KddcupConfig:
    """How raw competition files become a prepared folder.

    Args:
        dtype: number format of the stored region features.
        on_error: at a bad row, stop the work, or skip the row and count it.
        workers: threads that parse; 0 takes every core this process may use.
        feature_width: numbers per region feature; 0 takes it from the first row.
        vocabulary_size: most tokens of the WordPiece vocabulary trained on the queries.
        tokenizer: a Hugging Face tokenizer (name or local folder) instead of a trained one.
        shard_mib: size of one feature shard, in MiB.
    """

    dtype: Literal["float16", "float32"] = "float16"
    on_error: Literal["stop", "skip"] = "stop"
    workers: int = 0
    feature_width: int = 0
    vocabulary_size: int = 16_000
    tokenizer: str | None = None
    shard_mib: int = 1024

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(self, workers=0, feature_width=0, vocabulary_size=1, shard_mib=1)


@dataclass(frozen=True)
class NegativesConfig:
    """How queries are grouped for hard negatives (method: last word, cluster, shared words).

    Args:
        clusters: K-means clusters over query vectors; 0 takes about one per 100 queries,
            2,000 at the most.
        dimensions: width of a query vector (TF-IDF, then truncated SVD).
        neighbours: overlap neighbours kept for each query.
        postings: most queries that a word, or a pair of words, proposes as neighbours; a seeded
            sample beyond.
        last_word_fraction: share of negatives drawn from the same last word.
        tries: draws for one negative before the sampler scans instead.
    """

    clusters: int = 0
    dimensions: int = 64
    neighbours: int = 30
    postings: int = 32
    last_word_fraction: float = 0.8
    tries: int = 16

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(
            self,
            clusters=0,
            dimensions=1,
            neighbours=1,
            postings=1,
            last_word_fraction=(0, 1),
            tries=0,
        )


@dataclass(frozen=True)
class WorldConfig:
    """The small world: a drawn-up catalogue whose truth is known.

    Args:
        train_rows: clicked (query, product) pairs.
        train_products: distinct products behind them.
        eval_queries: queries of each evaluation split.
        eval_products: distinct products of each evaluation split.
        pool_size: candidates per evaluation query.
        relevant: most relevant products in a pool.
        feature_width: numbers per region feature.
        noise: standard deviation of the noise on features.
        splits: which splits to write.
        seed: seed of everything drawn.
    """

    train_rows: int = 4_000
    train_products: int = 2_000
    eval_queries: int = 150
    eval_products: int = 750
    pool_size: int = 30
    relevant: int = 6
    feature_width: int = 64
    noise: float = 0.5
    splits: tuple[str, ...] = ("train", "valid", "testA")
    seed: int = 0


@dataclass(frozen=True)
class SyntheticShopConfig:
    """The drawn catalogue: products whose photos are drawn, and queries whose answers are known.

    Args:
        products: how many.
        queries: distinct queries of its click log.
        most_matches: most products that answer a query.
        seed: of everything drawn.
    """

    products: int = 2_000
    queries: int = 2_000
    most_matches: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_ranges(self, products=1, queries=1, most_matches=1)
