"""Power of paired tests: what a number of queries can show, and how many a difference needs."""

from __future__ import annotations

from math import ceil
from statistics import NormalDist

import numpy as np

from shopsight.types import FloatArray


def detectable_effect(difference: FloatArray, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest mean difference that a two-sided paired test finds with probability ``power``.

    (z(1 - alpha / 2) + z(power)) * s / sqrt(Q), for (Q,) differences of standard deviation s; the
    normal approximation, which randomisation tests follow from about 20 queries.

    Source: Cohen, *Statistical Power Analysis for the Behavioral Sciences*, 1988; for retrieval:
    Sakai, *Topic set size design*, Information Retrieval Journal, 2016.

    >>> round(detectable_effect(np.array([0.5, -0.5] * 100)), 4)
    0.0993
    """
    if len(difference) < 2:
        return float("nan")
    return float(_quantiles(alpha, power) * difference.std(ddof=1) / np.sqrt(len(difference)))


def needed_queries(
    difference: FloatArray, effect: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Number of queries at which ``effect`` is the `detectable_effect` of such differences.

    >>> needed_queries(np.array([0.5, -0.5] * 100), effect=0.05)
    789
    """
    return ceil((_quantiles(alpha, power) * float(difference.std(ddof=1)) / effect) ** 2)


def _quantiles(alpha: float, power: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
