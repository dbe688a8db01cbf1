"""The table of models: held-out, in-sample and test figures, and differences to the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shopsight.inference.ensemble import ENSEMBLE, REFERENCE, Ensemble
from shopsight.inference.evaluate import HEADLINE, TrainingResults
from shopsight.metrics.evaluate import Estimate
from shopsight.metrics.slices import PairedDifference, paired_difference
from shopsight.models.registry import model_spec

BASELINES = {
    "random": "baseline: candidates in random order",
    "word-centroids": "baseline: mean photo of every word; no neural network",
}


@dataclass(frozen=True)
class ModelRow:
    """Figures of a run. All estimates are of the headline metric, but for those of ``others``."""

    name: str
    description: str
    letters: str  # runs that it beats significantly on the validation split
    valid: Estimate  # of an ensemble: on held-out queries
    in_sample: Estimate | None  # of an ensemble, on the queries that its weights were fitted to
    splits: dict[str, Estimate]  # other splits with answers, by name
    difference: PairedDifference | None  # to the reference's ensemble, if there is one
    others: dict[str, Estimate]  # further metrics on the validation split


def model_rows(results: TrainingResults) -> list[ModelRow]:
    """A row per compared run, the recommended one last."""
    evaluations = results.comparison.evaluations
    reference = next((run for run in evaluations if run.name == REFERENCE), None)
    rows = []
    for i, run in enumerate(evaluations):
        difference = None
        if reference is not None and run is not reference:
            values = run.per_query[HEADLINE], reference.per_query[HEADLINE]
            difference = paired_difference(*values, results.comparison.config)
        in_sample = results.in_sample.get(run.name, {})
        rows.append(
            ModelRow(
                run.name,
                _description(run.name, results),
                results.comparison.letters(HEADLINE, i),
                run.estimates[HEADLINE],
                in_sample.get(HEADLINE),
                _on_splits(run.name, results),
                difference,
                {name: value for name, value in run.estimates.items() if name != HEADLINE},
            )
        )
    return rows


def headline(row: ModelRow, split: str) -> str:
    """The recommended run's figures in a sentence."""
    valid, queries = row.valid, "held-out queries of " if row.in_sample else ""
    text = f"{row.name} ranks the products of a text query with {HEADLINE} {valid.mean:.3f}"
    text += f" ({valid.low:.3f} to {valid.high:.3f}) on {queries}{split}"
    if row.in_sample:
        text += f"; {row.in_sample.mean:.3f} in sample"
    for name, estimate in row.splits.items():
        text += f"; {estimate.mean:.3f} ({estimate.low:.3f} to {estimate.high:.3f}) on {name},"
        text += " to which nothing was fitted"
    if row.difference:
        gap = row.difference.estimate
        text += f". That is {gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f},"
        text += (
            f" p {_p_value(row.difference.p_value)}) against the reference's ensemble on {split}"
        )
    return text + "."


def _on_splits(name: str, results: TrainingResults) -> dict[str, Estimate]:
    return {
        split: run.estimates[HEADLINE]
        for split, comparison in results.splits.items()
        for run in comparison.evaluations
        if run.name == name
    }


def _description(name: str, results: TrainingResults) -> str:
    if name in results.imitation:
        fraction = f"reaches {results.imitation[name]:.1%} of its score"
        return f"{model_spec(name).description}, and {fraction}"
    ensembles: Mapping[str, Ensemble] = {fitted.name: fitted for fitted in results.ensembles}
    if name not in ensembles:
        return BASELINES.get(name) or model_spec(name).description
    terms = " + ".join(f"{weight:.2f} {m}" for m, weight in ensembles[name].weights.items())
    if name == REFERENCE:
        return f"ensemble of the reference solution, raw scores: {terms}"
    alone = name == ENSEMBLE and len(ensembles[name].weights) == 1
    return f"{terms}; no ensemble beats it on held-out queries" if alone else terms


def _p_value(value: float) -> str:
    return "< .001" if value < 0.001 else f"= {value:.3f}".replace("0.", ".")
