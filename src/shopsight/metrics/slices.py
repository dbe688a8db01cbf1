"""Results by kind of query: where a run succeeds, and where it beats another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shopsight.config import CompareConfig, EvaluateConfig
from shopsight.metrics.evaluate import Estimate, estimate
from shopsight.metrics.significance import benjamini_hochberg, randomisation_test
from shopsight.types import FloatArray

SMALLEST = 5  # queries of a slice; intervals of fewer say nothing
_OTHER = "other"


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of two runs on the same queries, with the p-value of a randomisation test."""

    estimate: Estimate
    p_value: float


@dataclass(frozen=True)
class Slice:
    """The queries of a kind. ``significant`` is corrected for all slices that belong together."""

    name: str
    estimate: Estimate
    difference: PairedDifference | None = None
    significant: bool = False


def paired_difference(
    values: FloatArray,
    reference: FloatArray,
    config: CompareConfig | None = None,
    seed: int = 0,
    bootstrap: EvaluateConfig | None = None,
) -> PairedDifference:
    """Mean of ``values - reference`` (Q,) with its bootstrap interval and p-value."""
    config = config or CompareConfig()
    interval = estimate({"": values - reference}, bootstrap, seed)[""]
    p_value = randomisation_test(values, reference, config.permutations, seed)
    return PairedDifference(interval, p_value)


def slices(
    values: FloatArray,
    labels: Sequence[str],
    reference: FloatArray | None = None,
    most: int = 10,
    seed: int = 0,
) -> list[Slice]:
    """Slices of (Q,) values by label, in the order of their labels' first letters or numbers.

    Args:
        values: metric of each query.
        labels: one per query; rare labels, and those beyond the ``most`` frequent, become "other".
        reference: (Q,) values of a run to compare with.
        seed: of bootstrap and sign flips.

    >>> [row.name for row in slices(np.ones(11), ["2 words"] * 5 + ["1 word"] * 5 + ["rare"])]
    ['1 word', '2 words', 'other']
    """
    counts = Counter(labels)
    named = [name for name, count in counts.most_common(most) if count >= SMALLEST]
    groups = np.array([label if label in named else _OTHER for label in labels])
    fewer, flips = EvaluateConfig(resamples=2_000), CompareConfig(permutations=2_000)
    rows = []
    for name in [*sorted(set(named) - {_OTHER}), _OTHER]:
        inside = groups == name
        if not inside.any():
            continue
        part = estimate({"": values[inside]}, fewer, seed)[""]
        difference = None
        if reference is not None:
            difference = paired_difference(values[inside], reference[inside], flips, seed, fewer)
        rows.append(Slice(name, part, difference))
    return rows


def marked(groups: dict[str, list[Slice]], alpha: float) -> dict[str, list[Slice]]:
    """The groups with significant differences marked, at a false discovery rate of ``alpha``."""
    rows = [row for group in groups.values() for row in group if row.difference]
    adjusted = benjamini_hochberg([row.difference.p_value for row in rows if row.difference])
    found = {id(row) for row, p_value in zip(rows, adjusted, strict=True) if p_value < alpha}
    return {
        name: [replace(row, significant=id(row) in found) for row in group]
        for name, group in groups.items()
    }
