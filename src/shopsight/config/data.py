"""Settings of prepared data: importers, query groups for hard negatives, synthetic data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import check_ranges


@dataclass(frozen=True)
class ImportConfig:
    """Settings that all importers share.

    Args:
        dtype: number format of the stored region features.
        on_error: at an invalid or duplicate row, stop, or skip and count it.
        workers: processes that read and parse; 0 uses every available core.
        vocabulary_size: maximum size of the WordPiece vocabulary trained on the queries.
        tokenizer: a Hugging Face tokenizer (name or local folder) instead of a trained one.
        stop_words: a file with one stop word a line instead of the built-in list, or "none".
        shard_mib: size of one feature shard, in MiB.
    """

    dtype: Literal["float16", "float32"] = "float16"
    on_error: Literal["stop", "skip"] = "stop"
    workers: int = 0
    vocabulary_size: int = 16_000
    tokenizer: str | None = None
    stop_words: str | None = None
    shard_mib: int = 1024

    def __post_init__(self) -> None:
        check_ranges(self, workers=0, vocabulary_size=1, shard_mib=1)


@dataclass(frozen=True)
class KddcupConfig(ImportConfig):
    """Import of raw competition files.

    Args:
        feature_width: feature dimension; 0 takes it from the first row.
    """

    feature_width: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, feature_width=0)


@dataclass(frozen=True)
class NegativesConfig:
    """Grouping of queries for hard negatives: by last word, by cluster, by word overlap.

    Args:
        clusters: K-means clusters over query vectors; 0 takes about one per 100 queries,
            2,000 at most.
        dimensions: width of a query vector (TF-IDF, then truncated SVD).
        neighbours: overlap neighbours kept for each query.
        postings: maximum number of queries that a word, or a pair of words, proposes as
            neighbours; beyond it, a seeded sample is taken.
        last_word_fraction: fraction of negatives drawn from the same last word.
        two_coins: decide it for the negative query and the negative product of a pair separately.
        tries: draws for one negative before the sampler scans instead.
    """

    clusters: int = 0
    dimensions: int = 64
    neighbours: int = 30
    postings: int = 32
    last_word_fraction: float = 0.8
    two_coins: bool = False
    tries: int = 16

    def __post_init__(self) -> None:
        check_ranges(self, clusters=0, dimensions=1, neighbours=1, postings=1, tries=0)
        check_ranges(self, last_word_fraction=(0, 1))


@dataclass(frozen=True)
class WorldConfig:
    """The small world: a synthetic catalogue of regions with known relevance.

    Args:
        train_rows: clicked (query, product) pairs.
        train_products: distinct products behind them.
        eval_queries: queries of each evaluation split.
        eval_products: distinct products of each evaluation split.
        pool_size: candidates per evaluation query.
        relevant: maximum number of relevant products in a pool.
        feature_width: feature dimension.
        noise: standard deviation of the noise on features.
        splits: splits to write.
        seed: of every draw.
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
    """The synthetic shop: rendered product photos, and queries with known relevance.

    Args:
        products: number of products.
        queries: distinct queries of its click log.
        most_matches: maximum number of relevant products of a query.
        seed: of every draw.
    """

    products: int = 2_000
    queries: int = 2_000
    most_matches: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, products=1, queries=1, most_matches=1)
