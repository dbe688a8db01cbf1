"""Settings of metrics, comparisons and fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shopsight.config.checks import check_ranges
from shopsight.errors import UsageError


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluation of a run.

    Args:
        metrics: such as ndcg@5, recall@10, mrr, map, precision@5, hit@1, err, rbp:0.95, judged@10.
        resamples: bootstrap resamples of the queries behind the interval.
        confidence: level of the interval.
        gain: of a grade in ndcg: the grade, or 2^grade - 1 (ndcg_exp).
        at_least: lowest grade that is relevant, for all metrics but ndcg and err.
        condensed: whether products without a judgement are left out of rankings.
    """

    metrics: tuple[str, ...] = ("ndcg@5", "recall@10", "mrr")
    resamples: int = 10_000
    confidence: float = 0.95
    gain: Literal["linear", "exponential"] = "linear"
    at_least: int = 1
    condensed: bool = False

    def __post_init__(self) -> None:
        check_ranges(self, at_least=1)

    @property
    def note(self) -> str:
        """What deserves a word below a table; empty for the defaults."""
        relevant = f"Relevant is grade {self.at_least} or more; nDCG and ERR use all grades."
        condensed = "Condensed rankings: products without a judgement are left out."
        return " ".join([relevant] * (self.at_least > 1) + [condensed] * self.condensed)


@dataclass(frozen=True)
class CompareConfig:
    """Pairwise comparison of runs.

    Args:
        alpha: significance level of the letters.
        permutations: sign flips of the paired randomisation test.
        correction: of the letters for many tests: holm bounds the chance of any false letter,
            benjamini-hochberg the expected fraction of false letters.
        power: chance to find a difference of the smallest size that is called detectable.
        effect: planned difference, for which the number of queries is estimated; 0 for none.
    """

    alpha: float = 0.05
    permutations: int = 10_000
    correction: Literal["holm", "benjamini-hochberg", "none"] = "holm"
    power: float = 0.8
    effect: float = 0.0


@dataclass(frozen=True)
class FusionConfig:
    """Fusion of runs.

    Args:
        method: forward (members by held-out gain), grid (two runs), coordinate (any number), rrf
            (no weights to fit), or auto: grid for two runs and forward for more. Training takes
            auto, and grid for another number than two, as forward.
        normalise: normalisation of the scores of each query.
        steps: number of weight steps from 0 to 1.
        folds: folds of queries of the cross-validated score.
        rrf_k: k of reciprocal rank fusion, 1 / (k + rank).
    """

    method: Literal["auto", "forward", "grid", "coordinate", "rrf"] = "auto"
    normalise: Literal["none", "minmax", "zscore", "rank"] = "none"
    steps: int = 100
    folds: int = 5
    rrf_k: float = 60.0

    def __post_init__(self) -> None:
        check_ranges(self, steps=1, folds=2, rrf_k=0)
        if self.method == "rrf" and self.normalise != "none":
            raise UsageError(
                f"--method rrf adds up places, not scores; leave out --normalise {self.normalise}"
            )


@dataclass(frozen=True)
class KReciprocalConfig:
    """k-reciprocal re-ranking.

    Args:
        k1: nearest neighbours that may be reciprocal.
        k2: nearest neighbours whose neighbourhoods are averaged.
        own_weight: weight of the run's own scores, from 0 to 1.
    """

    k1: int = 20
    k2: int = 6
    own_weight: float = 0.3

    def __post_init__(self) -> None:
        check_ranges(self, k1=1, k2=1, own_weight=0)
        if not self.own_weight <= 1:
            raise UsageError(f"own_weight must be at most 1, not {self.own_weight}")
