"""Ensembles: weighted runs, their fitted weights, and the resulting metric."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shopsight.config import FusionConfig
from shopsight.errors import DataError
from shopsight.formats.atomic import write_json
from shopsight.metrics.evaluate import Evaluator
from shopsight.models.registry import model_specs
from shopsight.ranking.fusion import fuse, fusion_terms, weighted_sum
from shopsight.ranking.run import align
from shopsight.ranking.weights import FittedWeights, fit_weights
from shopsight.types import FloatArray, Run

ENSEMBLE = "ensemble"
REFERENCE = "word+sentence"
"""The reference's own ensemble: raw scores of its two models (docs/method.md, section 6)."""
HELD_OUT = "held-out"
_FILE = "fusion.json"
_REFERENCE_CONFIG = FusionConfig(method="grid", normalise="none")


@dataclass(frozen=True)
class Ensemble:
    """A weighted sum of runs, with weights fitted to qrels."""

    name: str
    weights: dict[str, float]  # above 0, by name of the member; they sum to 1
    config: FusionConfig  # method and normalisation
    in_sample: float  # mean of the metric on the queries of the fit
    held_out: float  # mean on queries that the weights were not fitted to (cross-validation)
    dropped: tuple[str, ...] = ()  # runs without a held-out gain

    @property
    def summary(self) -> str:
        """The weights, and the metric on held-out queries and in sample, in words."""
        terms = " + ".join(f"{weight:.2f} {name}" for name, weight in self.weights.items())
        if len(self.weights) == 1:
            reason = " (no ensemble beats it)" if self.dropped else ""
            return f"{terms}{reason}: {self.held_out:.4f}"
        return f"{terms}: {self.held_out:.4f} on held-out queries, {self.in_sample:.4f} in sample"

    def fuse(self, runs: Mapping[str, Run]) -> Run:
        """The fused run of any split. Raises DataError if the run of a member is missing."""
        missing = [name for name in self.weights if name not in runs]
        if missing:
            raise DataError(f"{self.name} needs the run of {missing[0]}")
        members = [runs[name] for name in self.weights]
        return fuse(members, list(self.weights.values()), self.config, self.name)


class FittedEnsemble(NamedTuple):
    """An ensemble with its runs of the split it was fitted to.

    In ``held_out``, each query is ranked with weights that were fitted without it.
    """

    ensemble: Ensemble
    run: Run
    held_out: Run


def fit_ensembles(
    runs: Mapping[str, Run], evaluator: Evaluator, metric: str, config: FusionConfig, seed: int
) -> list[FittedEnsemble]:
    """The reference's ensemble, if both its members are given, and the best selection of all runs.

    ``seed`` assigns queries to the folds of the held-out metric.
    """
    ensembles = []
    published = [spec.name for spec in model_specs() if spec.published]
    if all(name in runs for name in published):
        pair = {name: runs[name] for name in published}
        reference = replace(_REFERENCE_CONFIG, steps=config.steps)
        ensembles.append(_fit(REFERENCE, pair, evaluator, metric, reference, seed))
    if config.method == "auto" or (config.method == "grid" and len(runs) != 2):
        config = replace(config, method="forward")
    ensembles.append(_fit(ENSEMBLE, runs, evaluator, metric, config, seed))
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
        raise DataError(
            f"{path}: damaged, or of another version ({error!r}); delete it and train --resume"
        ) from error


def _fit(
    name: str,
    runs: Mapping[str, Run],
    evaluator: Evaluator,
    metric: str,
    config: FusionConfig,
    seed: int,
) -> FittedEnsemble:
    def score_queries(run: Run) -> FloatArray:
        return evaluator.per_query(run, metric)

    fitted = fit_weights(list(runs.values()), score_queries, config, seed)
    weights = dict(zip(runs, fitted.weights, strict=True))
    ensemble = Ensemble(
        name,
        {member: weight for member, weight in weights.items() if weight},
        config,
        float(fitted.in_sample.mean()),
        float(fitted.held_out.mean()),
        tuple(member for member, weight in weights.items() if not weight),
    )
    terms = fusion_terms(align(list(runs.values())).runs, config)
    held_out = replace(_held_out_run(terms, fitted, evaluator), name=name)
    return FittedEnsemble(ensemble, ensemble.fuse(runs), held_out)


def _held_out_run(terms: Sequence[Run], fitted: FittedWeights, evaluator: Evaluator) -> Run:
    """Each query scored with the weights of its fold; with the final weights if not judged."""
    fold = dict(zip(evaluator.query_ids, fitted.fold_idx.tolist(), strict=True))
    pools = terms[0].pools
    fold_idx = np.array([fold.get(query, -1) for query in pools.query_ids], np.int64)
    # Index -1 takes the last row: the final weights.
    every = [weighted_sum(terms, w).scores for w in (*fitted.fold_weights, fitted.weights)]
    scores = np.stack(every)[fold_idx[pools.query_idx], np.arange(len(pools.product_ids))]
    return terms[0].with_scores(scores)


def _from_json(entry: dict[str, Any]) -> Ensemble:
    config, dropped = FusionConfig(**entry["config"]), tuple(entry["dropped"])
    return Ensemble(**{**entry, "config": config, "dropped": dropped})
