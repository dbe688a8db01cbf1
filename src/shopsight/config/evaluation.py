"""Settings of metrics, comparisons and fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import check_ranges
from shopsight.errors import UsageError


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
        check_ranges(self, steps=1, folds=2, rrf_k=0)
        if self.method == "rrf" and self.normalise != "none":
            raise UsageError(
                f"--method rrf adds up places, not scores; leave out --normalise {self.normalise}"
            )
