"""Report of a training run: scores, learning curves and per-query examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from shopsight.config import EvaluateConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import VALID
from shopsight.inference.attention import AttentionWeights
from shopsight.inference.captioner import Captioner
from shopsight.inference.ensemble import ENSEMBLE, REFERENCE, Ensemble
from shopsight.inference.evaluate import HEADLINE, TrainingResults
from shopsight.inference.load import trained_models
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.models.registry import PRETRAINING, explaining_model, model_names, model_spec
from shopsight.ranking.audit import audit
from shopsight.reports.dataset import dataset_figures, split_grid
from shopsight.reports.html import Report
from shopsight.reports.learning_curves import learning_curves
from shopsight.reports.query_examples import QueryExample, QueryExamples, best_and_worst

_BASELINES = {
    "random": "baseline: candidates in random order",
    "word-centroids": "baseline: mean photo of every word; no neural network",
}
_TAGS = 4
_TITLE_WORDS = ("title", "name")


def build_report(
    data: PreparedData,
    results: TrainingResults,
    title: str = "Report",
    note: Callable[[str], str] | None = None,
    device: torch.device | str = "cpu",
) -> Report:
    """Collect the content of a finished training's report.

    ``note`` describes a product, given its id; default: its title, or else tags of the label-match
    model. Raises DataError if the validation split has no answers.
    """
    qrels = data.qrels(VALID)
    comparison = results.comparison
    ensembles = {ensemble.name: ensemble for ensemble in results.ensembles}
    evaluation = comparison.evaluations[-1]
    explaining = explaining_model(trained_models(results.folder))
    attention = AttentionWeights(results.folder, data, device) if explaining else None
    note = note or _titles(data) or _tags(data, results, device)
    run = results.valid[evaluation.name]
    examples = QueryExamples(data, VALID, run, qrels, note, attention)
    values = dict(zip(evaluation.query_ids, evaluation.per_query[HEADLINE].tolist(), strict=True))
    best, worst = (
        [examples.example(query, values[query]) for query in queries]
        for queries in best_and_worst(evaluation, HEADLINE, examples.texts, qrels)
    )
    curves = (learning_curves(results.folder.stage(stage), HEADLINE) for stage in model_names())
    return Report(
        title=title,
        summary=_summary(results),
        figures=dataset_figures(data.manifest),
        comparison=comparison,
        models={
            run.name: _description(run.name, ensembles, results.imitation)
            for run in comparison.evaluations
        },
        judged=evaluation.name,
        best=best,
        worst=worst,
        learning=[curve for curve in curves if curve is not None],
        ensemble=ensembles.get(ENSEMBLE),
        splits=split_grid(data.manifest),
        audit=audit(data.pools(VALID), qrels, bootstrap_interval),
        stages=list(results.seconds.items()),
        commands=_commands(data.path, results.folder.path, best),
    )


def _titles(data: PreparedData) -> Callable[[str], str] | None:
    """Title and price of a product, by id; None if the data has no column of titles."""
    fields = data.fields
    names = [] if fields is None else fields.column_names
    title = next((name for word in _TITLE_WORDS for name in names if word in name.lower()), None)
    if fields is None or title is None:
        return None
    texts = fields[title].to_pylist()
    prices = fields["price"].to_pylist() if "price" in names else [None] * len(texts)

    def note(product_id: str) -> str:
        (index,) = data.store.index_of([product_id])
        text, price = texts[index], prices[index]
        return str(text or "") + (f" · {price}" if price is not None else "")

    return note


def _tags(
    data: PreparedData, results: TrainingResults, device: torch.device | str
) -> Callable[[str], str]:
    if PRETRAINING not in results.valid:
        return lambda _: ""
    captioner = Captioner(results.folder, data, device)
    return lambda product_id: ", ".join(captioner.tags(product_id, _TAGS))


def _summary(results: TrainingResults) -> str:
    best = results.comparison.evaluations[-1]
    text = f"Text queries ranked against product photos. {best.name} reaches"
    text += f" {HEADLINE} {best[HEADLINE]:.3f} on {VALID}"
    if best.name in results.in_sample:
        in_sample = results.in_sample[best.name][HEADLINE].mean
        text += f" (queries held out of the fit of its weights; {in_sample:.3f} in sample)"
    for split, value in results.unseen.items():
        text += f" and {value:.3f} on {split}, which was not used for fitting"
    return text + "."


def _description(
    name: str, ensembles: Mapping[str, Ensemble], imitation: Mapping[str, float]
) -> str:
    if name in imitation:
        return f"{model_spec(name).description}, and reaches {imitation[name]:.1%} of its score"
    if name not in ensembles:
        return _BASELINES.get(name) or model_spec(name).description
    weights = ensembles[name].weights.items()
    terms = " + ".join(f"{weight:.2f} {member}" for member, weight in weights)
    kind = "ensemble of the reference solution, raw scores: " if name == REFERENCE else ""
    return f"{kind}{terms}; on queries that the weights were not fitted to"


def _commands(data: Path, folder: Path, best: Sequence[QueryExample]) -> list[str]:
    answers = data / f"answers-{VALID}.json"
    product = best[0].candidates[0].product_id if best and best[0].candidates else "ID"
    return [
        f"shopsight compare {folder}/runs/{VALID}-*.json --answers {answers}",
        f"shopsight rank {folder} {data} --split {VALID} --out ranked.json",
        f"shopsight describe {folder} {data} --product {product}",
        f"shopsight evaluate ranked.json --answers {answers}"
        f" --metrics {' '.join(EvaluateConfig.metrics)}",
    ]
