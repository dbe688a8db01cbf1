"""Report of a training run: scores, slices, examples, learning curves and provenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from shopsight.config import EvaluateConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import VALID
from shopsight.inference.attention import AttentionWeights
from shopsight.inference.captioner import Captioner
from shopsight.inference.ensemble import ENSEMBLE, REFERENCE
from shopsight.inference.evaluate import HEADLINE, TrainingResults
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.metrics.slices import marked, slices
from shopsight.models.registry import PRETRAINING, explaining_model, model_names
from shopsight.ranking.audit import audit
from shopsight.reports.dataset import dataset_figures, split_grid
from shopsight.reports.html import Report
from shopsight.reports.learning_curves import learning_curves
from shopsight.reports.model_table import BASELINES, headline, model_rows
from shopsight.reports.provenance import provenance
from shopsight.reports.query_examples import QueryExample, QueryExamples, best_and_worst
from shopsight.reports.query_labels import query_labels
from shopsight.reports.query_table import query_table
from shopsight.tables import plain

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
    qrels, comparison = data.qrels(VALID), results.comparison
    evaluation = comparison.evaluations[-1]
    values = {run.name: run.per_query[HEADLINE] for run in comparison.evaluations}
    reference = REFERENCE if REFERENCE in values and evaluation.name != REFERENCE else ""
    explaining = explaining_model(results.folder.trained)
    attention = AttentionWeights(results.folder, data, device) if explaining else None
    caption = note or _titles(data)
    run = results.valid[evaluation.name]
    examples = QueryExamples(
        data, VALID, run, qrels, caption or _tags(data, results, device), attention
    )
    by_query = dict(zip(evaluation.query_ids, values[evaluation.name].tolist(), strict=True))
    best, worst = (
        [examples.example(query, by_query[query]) for query in queries]
        for queries in best_and_worst(evaluation, HEADLINE, examples.texts, qrels)
    )
    labels = query_labels(data, qrels, examples.texts)
    groups = {
        kind: slices(values[evaluation.name], names, values.get(reference))
        for kind, names in labels.items()
    }
    shown = {name: array for name, array in values.items() if name not in BASELINES}
    models = model_rows(results)
    curves = (learning_curves(results.folder.stage(stage), HEADLINE) for stage in model_names())
    return Report(
        title=title,
        headline=headline(models[-1], VALID),
        figures=dataset_figures(data.manifest),
        metric=HEADLINE,
        models=models,
        tests=comparison.config,
        power_note=comparison.power_note,
        ensemble=next((fit for fit in results.ensembles if fit.name == ENSEMBLE), None),
        reference=reference,
        slices=marked(groups, comparison.config.alpha),
        values=values[evaluation.name],
        reference_values=values.get(reference),
        best=best,
        worst=worst,
        runs=list(shown),
        queries=query_table(data, examples.texts, run, qrels, shown, caption or (lambda _: "")),
        learning=[curve for curve in curves if curve is not None],
        splits=split_grid(data.manifest),
        audit=audit(data.pools(VALID), qrels, bootstrap_interval),
        provenance=provenance(results.folder),
        stages=[(name, s, results.memory.get(name, 0.0)) for name, s in results.seconds.items()],
        commands=_commands(data.path, results.folder.path, best),
    )


def report_summary(report: Report) -> dict[str, Any]:
    """The figures of a report as JSON-serialisable values, for tables over several runs."""
    return {
        "headline": report.headline,
        "metric": report.metric,
        "models": plain({row.name: row for row in report.models}),
        "ensemble": plain(report.ensemble),
        "slices": plain(report.slices),
        "data": {figure.label: figure.value for figure in report.figures},
        "provenance": plain(report.provenance),
        "stages": {name: {"seconds": s, "mib": mib} for name, s, mib in report.stages},
    }


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
