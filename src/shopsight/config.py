"""Every stage's settings: one frozen dataclass each, and the only home of defaults.

The command line builds its options from these classes, docstrings included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from shopsight.errors import UsageError


def check_range(config: object, name: str, least: float, most: float = math.inf) -> None:
    """Refuse a setting that is no finite number in a range, spelt as its option is.

    >>> check_range(FusionConfig(), "folds", 7)
    Traceback (most recent call last):
    shopsight.errors.UsageError: --folds must be at least 7, not 5
    """
    value = getattr(config, name)
    if math.isfinite(value) and least <= value <= most:
        return
    wanted = f"at least {least}" if most == math.inf else f"from {least} to {most}"
    if value == math.inf:
        wanted = "a finite number"
    raise UsageError(f"--{name.replace('_', '-')} must be {wanted}, not {value}")


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
        check_range(self, "workers", 0)
        check_range(self, "feature_width", 0)
        check_range(self, "vocabulary_size", 1)
        check_range(self, "shard_mib", 1)


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
        last_word_share: share of negatives drawn from the same last word.
        tries: draws for one negative before the sampler scans instead.
    """

    clusters: int = 0
    dimensions: int = 64
    neighbours: int = 30
    postings: int = 32
    last_word_share: float = 0.8
    tries: int = 16

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_range(self, "clusters", 0)
        check_range(self, "dimensions", 1)
        check_range(self, "neighbours", 1)
        check_range(self, "postings", 1)
        check_range(self, "last_word_share", 0, 1)
        check_range(self, "tries", 0)


@dataclass(frozen=True)
class EvaluateConfig:
    """How a run is scored.

    Args:
        metrics: metric names, such as ndcg@5, recall@10, mrr, map, precision@5, hit@1.
        resamples: bootstrap resamples of the queries behind the interval.
        confidence: width of the interval.
    """

    metrics: tuple[str, ...] = ("ndcg@5", "recall@10", "mrr")
    resamples: int = 10_000
    confidence: float = 0.95


@dataclass(frozen=True)
class CompareConfig:
    """How runs are compared pair by pair.

    Args:
        alpha: significance level of the letters.
        permutations: sign flips of the paired randomisation test.
        correction: multiple-comparison correction of the letters.
    """

    alpha: float = 0.05
    permutations: int = 10_000
    correction: Literal["holm", "none"] = "holm"


@dataclass(frozen=True)
class FusionConfig:
    """How runs are combined.

    Args:
        method: grid (two runs), coordinate (any number), rrf (no weights to fit), or auto:
            grid for two runs and coordinate for more.
        normalise: what is done to each query's scores before they are added.
        steps: the grid's number of steps from 0 to 1.
        folds: folds of queries behind the held-out score.
        rrf_k: the constant of reciprocal rank fusion.
    """

    method: Literal["auto", "grid", "coordinate", "rrf"] = "auto"
    normalise: Literal["none", "minmax", "zscore", "rank"] = "none"
    steps: int = 100
    folds: int = 5
    rrf_k: float = 60.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense, and what would be ignored."""
        check_range(self, "steps", 1)
        check_range(self, "folds", 2)
        check_range(self, "rrf_k", 0)
        if self.method == "rrf" and self.normalise != "none":
            raise UsageError(
                f"--method rrf adds up places, not scores; leave out --normalise {self.normalise}"
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
