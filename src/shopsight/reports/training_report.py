"""The page of a training: what its models reach, how they learned, and what they look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from shopsight.config import STAGES, EvaluateConfig
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import VALID
from shopsight.inference.captioner import AttentionWeights, Captioner
from shopsight.inference.ensemble import ENSEMBLE, REFERENCE, Curve, Ensemble
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.ranking.audit import audit
from shopsight.reports.dataset import dataset_figures, split_grid
from shopsight.reports.html import Fusion, FusionCurve, Learning, Report
from shopsight.reports.learning_curves import learning_of
from shopsight.reports.query_examples import QueryExample, QueryExamples, best_and_worst
from shopsight.training.pipeline import HEADLINE, Results
from shopsight.types import Qrels

ABOUT = {
    "random": "no model: the candidates in random order",
    "word-centroids": "mean photo of every word; no neural network",
    "label-match": "every word of the query as a label of the photo; pretraining alone",
    "word-match": "weighted words, each with the part of the photo that suits it best",
    "sentence-match": "a recurrent network reads the query, starting from the photo",
    "dual": "one vector for the query, one for the photo, their cosine",
}
_TAGS = 4
_TITLES = ("title", "name")  # what a column of titles is called, or holds in its name


def build_report(
    data: PreparedData,
    results: Results,
    title: str = "What was trained",
    note: Callable[[str], str] | None = None,
    device: torch.device | str = "cpu",
) -> Report:
    """Everything the page shows of a finished training.

    Args:
        data: the prepared folder.
        results: what came out.
        title: the heading.
        note: a few words about a product, by its id; its title, or else the pretrained model's
            tags, if left out.
        device: where models say what they look at.

    Raises:
        DataError: the validation split has no answers.
    """
    qrels = data.qrels(VALID)
    comparison, ensembles = results.comparison, {one.name: one for one in results.ensembles}
    evaluation = comparison.evaluations[-1]
    looks = _looks(data, results, device)
    narrator = QueryExamples(
        data,
        VALID,
        results.valid[evaluation.name],
        qrels,
        note or _titles(data) or _tags(data, results, device),
        words=looks.words if looks else None,
        regions=looks.regions if looks else None,
    )
    values = dict(zip(evaluation.query_ids, evaluation.per_query[HEADLINE].tolist(), strict=True))
    best, worst = (
        [narrator.tell(query, values[query]) for query in queries]
        for queries in best_and_worst(
            evaluation, HEADLINE, narrator.texts, relevant=_relevant(qrels)
        )
    )
    return Report(
        title=title,
        summary=_summary(results),
        figures=dataset_figures(data.manifest),
        splits=split_grid(data.manifest),
        audit=audit(data.pools(VALID), qrels, bootstrap_interval),
        comparison=comparison,
        models={one.name: _about(one.name, ensembles) for one in comparison.evaluations},
        learning=_learning(results),
        fusion=_fusion(ensembles.get(ENSEMBLE)),
        judged=evaluation.name,
        best=best,
        worst=worst,
        stages=list(results.seconds.items()),
        commands=_commands(data.path, results.folder.path, best),
    )


def _relevant(qrels: Qrels) -> dict[str, int]:
    return {
        query: sum(grade > 0 for grade in grades.values())
        for query, grades in qrels.relevance.items()
    }


def _looks(
    data: PreparedData, results: Results, device: torch.device | str
) -> AttentionWeights | None:
    trained = "word-match" in results.valid
    return AttentionWeights(results.folder, data, device) if trained else None


def _titles(data: PreparedData) -> Callable[[str], str] | None:
    """What the shop calls a product, and its price; None where it did not say."""
    fields = data.fields
    names = [] if fields is None else fields.column_names
    title = next((name for one in _TITLES for name in names if one in name.lower()), None)
    if fields is None or title is None:
        return None
    texts = fields[title].to_pylist()
    prices = fields["price"].to_pylist() if "price" in names else [None] * len(texts)

    def note(product_id: str) -> str:
        (index,) = data.store.index_of([product_id])
        text, price = texts[index], prices[index]
        return str(text or "") + (f" · {price}" if price is not None else "")

    return note


def _tags(data: PreparedData, results: Results, device: torch.device | str) -> Callable[[str], str]:
    if "label-match" not in results.valid:
        return lambda _: ""
    describer = Captioner(results.folder, data, device)
    return lambda product_id: ", ".join(describer.tags(product_id, _TAGS))


def _summary(results: Results) -> str:
    means = [(one.estimates[HEADLINE].mean, one.name) for one in results.comparison.evaluations]
    reached, name = max(means)
    words = f"Shoppers' queries against product photos. The best ranking, {name}, reaches"
    words += f" {HEADLINE} {reached:.3f} on {VALID}"
    for split, value in results.unseen.items():
        words += f", and {value:.3f} on {split}, to which nothing was fitted"
    return words + "."


def _about(name: str, ensembles: dict[str, Ensemble]) -> str:
    if name not in ensembles:
        return ABOUT[name]
    parts = [f"{weight:.2f} {one}" for one, weight in ensembles[name].weights.items() if weight]
    kind = "the reference's two models, raw scores: " if name == REFERENCE else ""
    return f"{kind}{' + '.join(parts)}; the weights were fitted to these queries"


def _learning(results: Results) -> list[Learning]:
    found = (learning_of(results.folder.stage(stage), HEADLINE) for stage in STAGES)
    return [one for one in found if one is not None]


def _fusion(ensemble: Ensemble | None) -> Fusion | None:
    if ensemble is None:
        return None
    curves = tuple(_curve(one, ensemble) for one in ensemble.curves)
    return Fusion(HEADLINE, curves, ensemble.held_out)


def _curve(curve: Curve, ensemble: Ensemble) -> FusionCurve:
    others = [name for name in ensemble.weights if name != curve.member]
    rest = f"the rest is “{others[0]}”" if len(others) == 1 else "the others share the rest"
    return FusionCurve(curve.member, rest, curve.weights, curve.means, curve.chosen)


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
