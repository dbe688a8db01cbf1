"""Rank every split with all trained models, fuse the runs, and compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.config import EvaluateConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN, VALID
from shopsight.errors import InputError
from shopsight.formats.runs import write_run
from shopsight.formats.submission import write_submission
from shopsight.inference.ensemble import (
    ENSEMBLE,
    HELD_OUT,
    Ensemble,
    FittedEnsemble,
    fit_ensembles,
    save_ensembles,
)
from shopsight.inference.ranker import Ranker
from shopsight.inference.run_folder import RunFolder
from shopsight.inference.timings import Timings
from shopsight.metrics.evaluate import Estimate, Evaluator, evaluate
from shopsight.metrics.significance import Comparison, compare
from shopsight.models.registry import model_spec
from shopsight.tables import Grid, Tabular, plain
from shopsight.types import Pools, Run

HEADLINE = EvaluateConfig.metrics[0]
StepDone = Callable[[str, str], None]
"""Callback after a finished step: its name, and a summary in words."""


def no_progress(name: str, summary: str) -> None:
    """No-op callback."""


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResults(Tabular):
    """Scores, ensembles and times of a training.

    Attributes:
        folder: the run folder.
        valid: every run of the validation split by name, the recommended one last: the ensemble,
            or the only model. In ensembles, weights fitted without a query rank it.
        comparison: of these.
        in_sample: metrics of each ensemble on the queries that its weights were fitted to.
        ensembles: the fitted ensembles.
        splits: comparison of the models and ensembles on each other split with qrels, to which
            nothing was fitted.
        seconds: time by step, that of earlier calls included.
        memory: highest MiB of the process by step.
    """

    folder: RunFolder
    valid: dict[str, Run]
    comparison: Comparison
    in_sample: dict[str, dict[str, Estimate]]
    ensembles: list[Ensemble]
    splits: dict[str, Comparison]
    seconds: dict[str, float]
    memory: dict[str, float]

    @property
    def unseen(self) -> dict[str, float]:
        """The headline metric of the recommended run on each other split with qrels."""
        return {name: splits.evaluations[-1][HEADLINE] for name, splits in self.splits.items()}

    @property
    def imitation(self) -> dict[str, float]:
        """Of each model that imitates the ensemble, the fraction of its score that it reaches."""
        means = {run.name: run.estimates[HEADLINE].mean for run in self.comparison.evaluations}
        best = means.get(ENSEMBLE, 0.0)
        names = [name for name in self.folder.trained if model_spec(name).imitates]
        return {name: means[name] / best for name in names if best}

    def grids(self) -> list[Grid]:
        """The comparison of all runs; ensembles on held-out queries and in sample."""
        rows = tuple(
            (e.name, _weights(e), f"{e.held_out:.4f}", f"{e.in_sample:.4f}") for e in self.ensembles
        )
        columns = ("ensemble", "weights", f"{HEADLINE} held out", "in sample")
        note = "Scores of ensembles in the first table are those on held-out queries."
        return [*self.comparison.grids(), *([Grid(columns, rows, note)] if rows else [])]

    def records(self) -> list[dict[str, Any]]:
        """One row per run and metric; see `Comparison.records`."""
        return self.comparison.records()

    def to_dict(self) -> dict[str, Any]:
        """Scores of all models, weights and scores of the ensembles, times, and the run folder."""
        fusion = {
            ensemble.name: {
                "weights": ensemble.weights,
                "dropped": ensemble.dropped,
                "in_sample": ensemble.in_sample,
                "held_out": ensemble.held_out,
            }
            for ensemble in self.ensembles
        }
        return {
            "models": self.comparison.to_dict()["runs"],
            "fusion": plain(fusion),
            "unseen": self.unseen,
            "imitation": self.imitation,
            "seconds": self.seconds,
            "memory": self.memory,
            "run": str(self.folder.path),
        }

    def __repr__(self) -> str:
        return f"TrainingResults({self.comparison!r})"


def rank_and_fuse(
    ranker: Ranker,
    data: PreparedData,
    baselines: Mapping[str, Run] | None = None,
    step_done: StepDone = no_progress,
) -> TrainingResults:
    """Rank and compare the validation split, then rank the other splits and write submissions.

    ``baselines`` are runs of the validation split to compare with; ``step_done`` is called after
    every finished step.
    """
    folder, qrels = ranker.folder, data.qrels(VALID)
    recipe, evaluator, timings = folder.recipe, Evaluator(qrels), Timings(folder.path)
    with timings.measure(f"rank {VALID}"):
        members = {name: ranker.kept(data, VALID, name) for name in ranker.models}
    means = {run.name: evaluator.per_query(run, HEADLINE).mean() for run in members.values()}
    best = max(means, key=means.__getitem__)
    summary = f"{len(members)} models; the best is {best}, {HEADLINE} {means[best]:.4f}"
    step_done(f"rank {VALID}", summary)

    fitted: list[FittedEnsemble] = []
    learned = {name: run for name, run in members.items() if not model_spec(name).imitates}
    if len(learned) > 1 and len(evaluator.query_ids) > 1:
        with timings.measure("fuse"):
            fitted = fit_ensembles(learned, evaluator, HEADLINE, recipe.fusion, recipe.seed)
        step_done("fuse", fitted[-1].ensemble.summary)
    ensembles = [fit.ensemble for fit in fitted]
    save_ensembles(ensembles, folder.path)

    held_out = {fit.ensemble.name: fit.held_out for fit in fitted}
    random, baselines = random_run(data.pools(VALID), recipe.seed), baselines or {}
    valid = {random.name: random, **baselines, **members, **held_out}
    with timings.measure("compare"):
        comparison = compare(list(valid.values()), qrels, seed=recipe.seed)
        in_sample = {
            fit.ensemble.name: evaluate(fit.run, qrels, None, recipe.seed, evaluator).estimates
            for fit in fitted
        }
    step_done("compare", f"paired tests of {len(valid)} rankings")
    results = TrainingResults(
        folder, valid, comparison, in_sample, ensembles, {}, timings.seconds, timings.memory
    )
    for name, fraction in results.imitation.items():
        step_done(name, f"{fraction:.1%} of the ensemble's {HEADLINE} on {VALID}")
    for run in (random, *baselines.values(), *(fit.run for fit in fitted)):
        write_run(run, folder.ranking(VALID, run.name))
    for run in held_out.values():
        write_run(run, folder.ranking(VALID, f"{run.name}-{HELD_OUT}"))

    for split in (split for split in data.splits if split not in (TRAIN, VALID)):
        with timings.measure(f"rank {split}"):
            runs = _rank_unseen(ranker, data, ensembles, split)
        summary = _submit(runs[-1], data, split, folder.path / "submissions")
        if data.has_qrels(split):
            results.splits[split] = _compare_unseen(runs, data, split, recipe.seed)
            summary += f"; nothing was fitted to it: {HEADLINE} {results.unseen[split]:.4f}"
        step_done(f"rank {split}", summary)
    return results


def random_run(pools: Pools, seed: int) -> Run:
    """The candidates in random order, the lower bound of every comparison."""
    return Run(pools, np.random.default_rng(seed).random(len(pools.product_ids)), "random")


def _rank_unseen(
    ranker: Ranker, data: PreparedData, ensembles: Sequence[Ensemble], split: str
) -> list[Run]:
    """Rank a split with everything; the last run, which the submission holds, is recommended."""
    runs = {name: ranker.kept(data, split, name) for name in ranker.models}
    for ensemble in ensembles:
        runs[ensemble.name] = ensemble.fuse(runs)
        write_run(runs[ensemble.name], ranker.folder.ranking(split, ensemble.name))
    return list(runs.values())


def _submit(run: Run, data: PreparedData, split: str, folder: Path) -> str:
    """Write the submission, unless pools or ids do not allow it; returns what was done."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{split}.csv"
    try:
        write_submission(run, path, data.pools(split))
    except InputError as error:
        return f"no submission: {error.reason}"
    return f"written: {path}"


def _compare_unseen(runs: Sequence[Run], data: PreparedData, split: str, seed: int) -> Comparison:
    random = random_run(data.pools(split), seed)
    return compare([random, *runs], data.qrels(split), seed=seed)


def _weights(ensemble: Ensemble) -> str:
    return " + ".join(f"{weight:.2f} {name}" for name, weight in ensemble.weights.items())
