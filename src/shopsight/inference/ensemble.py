"""Ensembles: weighted runs, their fitted weights, and the resulting metric."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.config import FusionConfig
from shopsight.errors import DataError
from shopsight.formats.atomic import write_json
from shopsight.models.registry import model_specs
from shopsight.ranking.fusion import fuse, fusion_terms, weighted_sum
from shopsight.ranking.run import align
from shopsight.ranking.weights import fit_weights
from shopsight.types import FloatArray, Run

Metric = Callable[[Run], FloatArray]
ENSEMBLE = "ensemble"
REFERENCE = "word+sentence"
"""The reference's own ensemble: raw scores of its two models (docs/method.md, section 6)."""
_FILE = "fusion.json"
_REFERENCE_CONFIG = FusionConfig(method="grid", normalise="none")
_POINTS = 50


@dataclass(frozen=True)
class Curve:
    """Mean of the metric over the weight of one member, with the other weights in proportion.

    Attributes:
        member: its name.
        weights: weights in [0, 1], ascending.
        means: mean of the metric at each.
        chosen: index of the fitted weight.
    """

    member: str
    weights: tuple[float, ...]
    means: tuple[float, ...]
    chosen: int


@dataclass(frozen=True)
class Ensemble:
    """A weighted sum of runs, with weights fitted to qrels.

    Attributes:
        name: of the fused run.
        weights: by name of the member; they sum to 1.
        config: method and normalisation.
        in_sample: mean of the metric on the queries of the fit.
        held_out: mean on queries that the weights were not fitted to (cross-validation).
        curves: one for each member, or the first of two.
    """

    name: str
    weights: dict[str, float]
    config: FusionConfig
    in_sample: float
    held_out: float
    curves: tuple[Curve, ...]

    @property
    def summary(self) -> str:
        """The weights, and the metric in sample and on held-out queries, in words."""
        terms = (f"{weight:.2f} {name}" for name, weight in self.weights.items() if weight)
        scores = f"{self.in_sample:.4f}, and {self.held_out:.4f} on held-out queries"
        return f"{' + '.join(terms)}: {scores}"

    def fuse(self, runs: Mapping[str, Run]) -> Run:
        """The fused run of any split. Raises DataError if the run of a member is missing."""
        missing = [name for name in self.weights if name not in runs]
        if missing:
            raise DataError(f"{self.name} needs the run of {missing[0]}")
        members = [runs[name] for name in self.weights]
        return fuse(members, list(self.weights.values()), self.config, self.name)


def fit_ensembles(
    runs: Mapping[str, Run], per_query: Metric, config: FusionConfig, seed: int
) -> list[Ensemble]:
    """The reference's ensemble, if both its members are given, and that of all runs.

    Args:
        runs: at least two, by name.
        per_query: (Q,) metric of a run for each query with qrels.
        config: method and normalisation for all runs.
        seed: of the folds of the held-out metric.
    """
    ensembles = []
    published = [spec.name for spec in model_specs() if spec.published]
    if all(name in runs for name in published):
        pair = {name: runs[name] for name in published}
        ensembles.append(_fit(REFERENCE, pair, per_query, _REFERENCE_CONFIG, seed))
    ensembles.append(_fit(ENSEMBLE, runs, per_query, config, seed))
    return ensembles


def save_ensembles(ensembles: Sequence[Ensemble], folder: Path) -> None:
    """Write ``fusion.json``."""
    write_json(folder / _FILE, [asdict(ensemble) for ensemble in ensembles])


def load_ensembles(folder: Path) -> list[Ensemble]:
    """Read ``fusion.json``, empty if missing. Raises DataError if it is damaged."""
    path = folder / _FILE
    if not path.exists():
        return []
    try:
        return [_from_json(entry) for entry in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error!r}); delete it and train --resume") from error


def _fit(
    name: str, runs: Mapping[str, Run], per_query: Metric, config: FusionConfig, seed: int
) -> Ensemble:
    # A grid over three or more weights would be exponential: they are fitted one by one.
    if config.method == "grid" and len(runs) != 2:
        config = replace(config, method="coordinate")
    fitted = fit_weights(list(runs.values()), per_query, config, seed)
    terms = fusion_terms(align(list(runs.values())).runs, config)
    # With two members, the second curve would mirror the first.
    shown = list(runs)[: 1 if len(runs) == 2 else None]
    return Ensemble(
        name,
        dict(zip(runs, fitted.weights, strict=True)),
        config,
        float(fitted.in_sample.mean()),
        float(fitted.held_out.mean()),
        tuple(
            _curve(member, i, np.array(fitted.weights), terms, per_query)
            for i, member in enumerate(shown)
        ),
    )


def _curve(
    member: str, index: int, weights: FloatArray, terms: Sequence[Run], per_query: Metric
) -> Curve:
    others = np.delete(weights, index)
    others = others / others.sum() if others.sum() else np.full(len(others), 1 / len(others))
    chosen = float(weights[index])
    points = sorted({*np.linspace(0, 1, _POINTS + 1).round(6).tolist(), chosen})
    means = []
    for weight in points:
        mixed = np.insert((1 - weight) * others, index, weight).tolist()
        means.append(float(per_query(weighted_sum(terms, mixed)).mean()))
    return Curve(member, tuple(points), tuple(means), points.index(chosen))


def _from_json(entry: dict[str, Any]) -> Ensemble:
    curves = tuple(
        Curve(curve["member"], tuple(curve["weights"]), tuple(curve["means"]), curve["chosen"])
        for curve in entry["curves"]
    )
    return Ensemble(**{**entry, "config": FusionConfig(**entry["config"]), "curves": curves})
