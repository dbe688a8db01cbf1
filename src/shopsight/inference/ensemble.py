"""The ensemble: which runs are mixed, at which weights, and what that is worth."""

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

ENSEMBLE = "ensemble"
REFERENCE = "word+sentence"
"""The reference's own ensemble: raw scores of its two models, by a grid (method section 6)."""
FILE = "fusion.json"
_REFERENCE_CONFIG = FusionConfig(method="grid", normalise="none")
_POINTS = 50


@dataclass(frozen=True)
class Curve:
    """The mean of the metric as one member's weight goes from 0 to 1 and the others share the rest.

    Attributes:
        member: whose weight.
        weights: points in [0, 1], ascending.
        means: mean of the metric at each.
        chosen: which point was chosen.
    """

    member: str
    weights: tuple[float, ...]
    means: tuple[float, ...]
    chosen: int


@dataclass(frozen=True)
class Ensemble:
    """Runs mixed by weights that were fitted to answers.

    Attributes:
        name: of the fused run.
        weights: by member's name, summing to 1.
        config: how they were fitted.
        in_sample: mean of the metric on the queries that they were fitted to.
        held_out: mean on queries under weights that were fitted without them.
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
        weights = " + ".join(
            f"{weight:.2f} {name}" for name, weight in self.weights.items() if weight
        )
        return f"{weights}: {self.in_sample:.4f}, and {self.held_out:.4f} on held-out queries"

    def fuse(self, runs: Mapping[str, Run]) -> Run:
        """The fused run of any split. Raises DataError where a member's run is missing."""
        missing = [name for name in self.weights if name not in runs]
        if missing:
            raise DataError(f"{self.name} needs the run of {missing[0]}")
        members = [runs[name] for name in self.weights]
        return fuse(members, list(self.weights.values()), self.config, self.name)


def fit_ensembles(
    runs: Mapping[str, Run], judge: Callable[[Run], FloatArray], config: FusionConfig, seed: int
) -> list[Ensemble]:
    """The reference's ensemble, where both its members are there, and the one of all runs.

    Args:
        runs: at least two, by name.
        judge: (Q,) one value for each query with answers.
        config: how the weights of all runs are fitted.
        seed: of the folds behind the held-out figure.
    """
    ensembles = []
    published = [spec.name for spec in model_specs() if spec.published]
    if all(name in runs for name in published):
        pair = {name: runs[name] for name in published}
        ensembles.append(_fitted(REFERENCE, pair, judge, _REFERENCE_CONFIG, seed))
    ensembles.append(_fitted(ENSEMBLE, runs, judge, config, seed))
    return ensembles


def save_ensembles(ensembles: Sequence[Ensemble], folder: Path) -> None:
    """Write ``fusion.json``."""
    write_json(folder / FILE, [asdict(one) for one in ensembles])


def load_ensembles(folder: Path) -> list[Ensemble]:
    """Read ``fusion.json``; none where it is missing. Raises DataError where it is damaged."""
    path = folder / FILE
    if not path.exists():
        return []
    try:
        return [_mixture(entry) for entry in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error!r}); delete it and train --resume") from error


def _fitted(
    name: str,
    runs: Mapping[str, Run],
    judge: Callable[[Run], FloatArray],
    config: FusionConfig,
    seed: int,
) -> Ensemble:
    if config.method == "grid" and len(runs) != 2:
        config = replace(config, method="coordinate")
    terms = fusion_terms(align(list(runs.values())).runs, config)
    found = fit_weights(list(runs.values()), judge, config, seed)
    weights = np.array(found.weights)
    shown = 1 if len(runs) == 2 else len(runs)
    return Ensemble(
        name,
        dict(zip(runs, found.weights, strict=True)),
        config,
        float(found.in_sample.mean()),
        float(found.held_out.mean()),
        tuple(_curve(list(runs)[i], i, weights, terms, judge) for i in range(shown)),
    )


def _curve(
    member: str,
    place: int,
    weights: FloatArray,
    terms: Sequence[Run],
    judge: Callable[[Run], FloatArray],
) -> Curve:
    others = np.delete(weights, place)
    others = others / others.sum() if others.sum() else np.full(len(others), 1 / len(others))
    chosen = float(weights[place])
    points = sorted({*np.linspace(0, 1, _POINTS + 1).round(6).tolist(), chosen})
    means = [
        float(judge(weighted_sum(terms, np.insert((1 - t) * others, place, t).tolist())).mean())
        for t in points
    ]
    return Curve(member, tuple(points), tuple(means), points.index(chosen))


def _mixture(entry: dict[str, Any]) -> Ensemble:
    curves = tuple(
        Curve(one["member"], tuple(one["weights"]), tuple(one["means"]), one["chosen"])
        for one in entry["curves"]
    )
    return Ensemble(**{**entry, "config": FusionConfig(**entry["config"]), "curves": curves})
