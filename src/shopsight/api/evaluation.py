"""Evaluation, comparison, fusion, re-ranking and audit of runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopsight import types
from shopsight.api.runs import (
    QrelsLike,
    Run,
    RunLike,
    as_candidates,
    as_qrels,
    as_run,
    as_runs,
    read_run,
)
from shopsight.api.settings import build_settings, settings_of, takes
from shopsight.config import (
    ClickLabelConfig,
    CompareConfig,
    EvaluateConfig,
    FusionConfig,
    KReciprocalConfig,
)
from shopsight.errors import DataError, InputError, UsageError, pluralise
from shopsight.formats.atomic import write_json
from shopsight.formats.outputs import check_output_file, check_suffix
from shopsight.formats.submission import write_submission
from shopsight.metrics.coverage import coverage_warnings, require_common_queries
from shopsight.metrics.evaluate import (
    Estimate,
    Evaluation,
    Evaluator,
    bootstrap_interval,
    estimate,
    estimates_grid,
)
from shopsight.metrics.evaluate import evaluate as evaluate_run
from shopsight.metrics.gain import parse_metric
from shopsight.metrics.significance import Comparison
from shopsight.metrics.significance import compare as compare_runs
from shopsight.ranking.audit import Audit
from shopsight.ranking.audit import audit as audit_pools
from shopsight.ranking.fusion import fuse as fuse_runs
from shopsight.ranking.k_reciprocal import rerank_k_reciprocal
from shopsight.ranking.rerank import rerank_exclusive
from shopsight.ranking.run import Aligned, align
from shopsight.ranking.weights import fit_weights
from shopsight.tables import Grid, Tabular, abbreviated, plain
from shopsight.types import FloatArray, Pools

if TYPE_CHECKING:
    from shopsight.data.dataset import PreparedData

log = logging.getLogger("shopsight")
METRICS = EvaluateConfig.metrics
_LABELS = {"fixed": "fused", "in_sample": "fused, in sample", "held_out": "fused, held out"}


@takes(EvaluateConfig)
def evaluate(
    run: RunLike,
    answers: QrelsLike,
    metrics: Sequence[str] | str = METRICS,
    seed: int = 0,
    **settings: Any,
) -> Evaluation:
    """Score a run against relevance judgements.

    The table has the mean of each metric with its bootstrap interval. Means are over the queries
    with judgements; a query that is not ranked counts as 0.

    Args:
        metrics: ndcg, ndcg_exp, err, recall, precision, mrr, map, hit, rbp or judged, with a
            cut-off such as ndcg@5.
        seed: of the bootstrap.
        settings: fields of `EvaluateConfig`.

    >>> evaluate({"q": {"a": 0.9, "b": 0.5}}, {"q": ["b"]}, "mrr")["mrr"]
    0.5
    """
    (config,) = build_settings({**settings, "metrics": metrics}, *settings_of(evaluate))
    _check_metrics(config.metrics)
    ranking, qrels = as_run(run), as_qrels(answers)
    require_common_queries(ranking, qrels.relevance)
    result = evaluate_run(ranking, qrels, config, seed)
    _warn_coverage(result, ranking, qrels)
    return result


@takes(EvaluateConfig, CompareConfig)
def compare(
    runs: Sequence[RunLike],
    answers: QrelsLike,
    metrics: Sequence[str] | str = METRICS,
    seed: int = 0,
    **settings: Any,
) -> Comparison:
    """Compare runs in a table, with paired randomisation tests.

    A run carries the letters of the runs that it beats significantly.

    Args:
        metrics: see `evaluate`.
        settings: fields of `EvaluateConfig` and `CompareConfig`.

    Raises:
        UsageError: fewer than two runs.
    """
    evaluation, config = build_settings({**settings, "metrics": metrics}, *settings_of(compare))
    _check_metrics(evaluation.metrics)
    rankings, qrels = as_runs(runs), as_qrels(answers)
    for run in rankings:
        require_common_queries(run, qrels.relevance)
    result = compare_runs(rankings, qrels, config, evaluation, seed)
    for run, member in zip(rankings, result.evaluations, strict=True):
        _warn_coverage(member, run, qrels)
    return result


@dataclass(frozen=True)
class Fusion(Tabular):
    """The weights of a fused run and its scores.

    Attributes:
        weights: by run.
        metric: the metric of all scores.
        members: score of each run; empty without judgements.
        fused: score of the fused run: "fixed", or "in_sample" and "held_out" (each query under
            weights fitted without it); empty without judgements.
        filled: by run, the number of (query, product) pairs it lacked.
    """

    weights: Mapping[str, float]
    metric: str
    members: Mapping[str, Estimate]
    fused: Mapping[str, Estimate]
    filled: Mapping[str, int]

    def grids(self) -> list[Grid]:
        """The weights; with judgements, the scores of the runs and of their fusion."""
        rows = tuple((name, f"{weight:.4f}") for name, weight in self.weights.items())
        grids = [Grid(("run", "weight"), rows)]
        if self.fused:
            scores = {**self.members, **{_LABELS[name]: row for name, row in self.fused.items()}}
            grids.append(estimates_grid(self.metric, scores, EvaluateConfig.confidence))
        return grids

    def to_dict(self) -> dict[str, Any]:
        """Weights, metric, scores and numbers of filled pairs."""
        scores = {"members": self.members, **self.fused} if self.fused else {}
        result = {"weights": self.weights, "metric": self.metric, **scores, "filled": self.filled}
        return {name: plain(value) for name, value in result.items()}


@dataclass(frozen=True, eq=False, repr=False)
class FusedRun(Run):
    """A fused run; ``fusion`` holds the weights and scores."""

    fusion: Fusion = field(kw_only=True)


@takes(FusionConfig)
def fuse(
    runs: Sequence[RunLike],
    answers: QrelsLike | None = None,
    weights: Sequence[float] | None = None,
    metric: str = METRICS[0],
    seed: int = 0,
    name: str = "fused",
    **settings: Any,
) -> FusedRun:
    """Combine runs by a weighted sum of their scores, or by reciprocal ranks.

    Weights are fitted to relevance judgements; both the in-sample and the cross-validated score
    are reported.

    Args:
        answers: relevance judgements to fit the weights to, or to score fixed weights with.
        weights: fixed weights, one per run.
        metric: metric to maximise.
        seed: of folds and bootstrap.
        name: the fused run's name in tables.
        settings: fields of `FusionConfig`.

    Raises:
        UsageError: fewer than two runs; weights can neither be fitted nor are given.
    """
    (config,) = build_settings(settings, *settings_of(fuse))
    if len(runs) < 2:
        raise UsageError("fusion needs at least two runs")
    if answers is None and weights is None and config.method != "rrf":
        raise UsageError("fitting weights needs --answers; or give --weights, or --method rrf")
    parse_metric(metric)
    rankings = as_runs(runs)
    for member in rankings[1:]:
        require_common_queries(member, rankings[0].pools.query_ids, rankings[0].name)
    aligned = align(rankings)
    _warn_filled(aligned)
    if weights is None and config.method == "rrf":
        weights = (1.0 / len(runs),) * len(runs)
    members: dict[str, Estimate] = {}
    fused: dict[str, Estimate] = {}
    if answers is not None:
        qrels = as_qrels(answers)
        for member in rankings:
            require_common_queries(member, qrels.relevance)
            _warn_spelling(member, qrels)
        evaluator = Evaluator(qrels)

        def score(run: types.Run) -> FloatArray:
            return evaluator.per_query(run, metric)

        if weights is None:
            fitted = fit_weights(aligned.runs, score, config, seed)
            weights = fitted.weights
            values = {"in_sample": fitted.in_sample, "held_out": fitted.held_out}
        else:
            values = {"fixed": score(fuse_runs(aligned.runs, weights, config))}
        members = estimate({run.name: score(run) for run in aligned.runs}, seed=seed)
        fused = estimate(values, seed=seed)
    assert weights is not None, "weights are given, equal or fitted"
    run = fuse_runs(aligned.runs, weights, config, name)
    names = [member.name for member in aligned.runs]
    by_run = dict(zip(names, map(float, weights), strict=True))
    filled = dict(zip(names, aligned.filled, strict=True))
    fusion = Fusion(by_run, metric, members, fused, filled)
    return FusedRun(run.pools, run.scores, run.name, fusion=fusion)


@takes(KReciprocalConfig)
def rerank(
    run: RunLike,
    exclusive: bool = True,
    margin: float | None = None,
    k_reciprocal: str | Path | None = None,
    data: str | Path | None = None,
    **settings: Any,
) -> Run:
    """Post-process a run.

    With a trained run folder as k_reciprocal, raise the products whose nearest neighbours are those
    of the query, inside the query's own pool. With exclusive, keep each product for its best query
    only, as the competition allows, and demote it below all kept ones in other queries: that is
    transductive, it uses the candidate lists of other queries, which live search does not have.

    Args:
        exclusive: one query per product; the method unless k_reciprocal is given.
        margin: keep a contested product only if its best query leads the second by more than this.
        k_reciprocal: run folder whose dual encoder has the vectors of queries and products.
        data: prepared folder with the queries and products of the run, for k_reciprocal.
        settings: fields of `KReciprocalConfig`.

    Raises:
        UsageError: no method, or k_reciprocal without data.
        DataError: data without a query or product of the run; a run folder without a dual encoder.
    """
    (config,) = build_settings(settings, *settings_of(rerank))
    if k_reciprocal is not None:
        if data is None or margin is not None:
            raise UsageError("--k-reciprocal needs --data and takes no --margin")
        return Run.of(_k_reciprocal(as_run(run), k_reciprocal, data, config))
    if not exclusive:
        raise UsageError("name a re-ranking method: --exclusive, or --k-reciprocal RUNDIR")
    log.warning(
        "this re-ranking is transductive: it uses other queries' candidates, which live search"
        " does not have"
    )
    return Run.of(rerank_exclusive(as_run(run), margin))


def audit(
    pools: Any, answers: QrelsLike | None = None, split: str = "valid", seed: int = 0
) -> Audit:
    """Check whether candidate pools leak relevance labels.

    Rank the candidates by how few pools offer them, without a model, and compare that with random
    order. Also find repeated products, empty and repeated queries, and relevant products outside
    the pools.

    Args:
        pools: a score file; a table with query_id and product_id columns; or prepared data; in
            Python also `Pools` or ``{query id: product ids}``.
        answers: competition JSON or TREC qrels; prepared data may have their own.
        split: split of prepared data.
        seed: of the bootstrap.
    """
    texts: Mapping[str, str] | None
    data = _prepared(pools)
    if data is not None:
        queries = data.queries(split)
        candidates, texts = data.pools(split), dict(zip(queries.ids, queries.texts, strict=True))
        if answers is None and data.has_qrels(split):
            answers = data.qrels(split)
    else:
        file = as_candidates(pools)
        candidates, texts = file.pools, file.texts

    def interval(values: FloatArray) -> tuple[float, float]:
        return bootstrap_interval(values, seed=seed)

    qrels = None if answers is None else as_qrels(answers)
    return audit_pools(candidates, qrels, interval, texts)


def submit(run: RunLike, out: str | Path, pools: Pools | str | Path | None = None) -> int:
    """Write the best five products of every query as submission.csv.

    Args:
        out: output file.
        pools: score file or table of candidates whose queries and products must match exactly.

    Returns:
        The number of queries.

    Raises:
        InputError: names the first query with fewer than five products, or that does not match.
    """
    check_output_file(out, (run, pools))
    candidates = None if pools is None else as_candidates(pools).pools
    if isinstance(run, str | Path):
        run = read_run(run, str(run))  # errors name the file as it was given
    return write_submission(as_run(run), out, candidates)


@dataclass(frozen=True)
class ClickLabels:
    """Judgements from a click log: lines and queries of the log, and what became of them."""

    lines: int
    queries: int
    empty: int
    ignored: int
    judged: int
    pairs: int


@takes(ClickLabelConfig)
def judge(
    log: str | Path, out: str | Path, pairs: str | Path | None = None, **settings: Any
) -> ClickLabels:
    """Turn a click log into relevance judgements.

    Relevant products are those that were clicked often enough, by a smoothed click-through rate.
    The log is what `shopsight serve --log` writes, or a table with the columns query, product_id,
    clicks and optionally impressions. Query ids are the normalised query texts.

    Args:
        log: click log, plain or gzipped; - is standard input.
        out: judgements as JSON.
        pairs: also write the relevant pairs as a table (.csv or .tsv), for `prepare photos
            --clicks`.
        settings: fields of `ClickLabelConfig`.
    """
    from shopsight.data.click_labels import label_clicks, read_click_log, write_pairs

    (config,) = build_settings(settings, ClickLabelConfig)
    check_output_file(out, (log,))
    if pairs:
        check_suffix(pairs, (".csv", ".tsv"))
        check_output_file(pairs, (log, out))
    clicks = read_click_log(log)
    labels = label_clicks(clicks, config)
    if not labels:
        reason = "no product was clicked often enough; lower --min-clicks"
        if clicks.ignored:
            reason += f" ({pluralise(clicks.ignored, 'line')} of other kinds or versions ignored)"
        raise UsageError(f"{log}: {reason}")
    write_json(out, labels)
    if pairs:
        write_pairs(clicks, labels, pairs)
    relevant = sum(map(len, labels.values()))
    counts = (clicks.lines, len(clicks.pairs), clicks.empty, clicks.ignored, len(labels))
    return ClickLabels(*counts, relevant)


def _check_metrics(names: Sequence[str]) -> None:
    """Report an unknown metric before the files are read, which may take long."""
    for name in names:
        parse_metric(name)


def _k_reciprocal(
    run: types.Run, folder: str | Path, data: str | Path, config: KReciprocalConfig
) -> types.Run:
    # Torch is loaded for this method only.
    from shopsight.api.data import as_data
    from shopsight.api.ranker import open_ranker

    prepared, ranker = as_data(data), open_ranker(folder)
    tables = [prepared.queries(split) for split in prepared.splits]
    texts = {q: text for t in tables for q, text in zip(t.ids, t.texts, strict=True)}
    if unknown := [query for query in run.pools.query_ids if query not in texts]:
        raise DataError(f"{data}: no query {unknown[0]!r} of {run.name}")
    products, product_idx = np.unique(run.pools.product_ids.astype(str), return_inverse=True)
    query_vectors = ranker.encode_queries([texts[query] for query in run.pools.query_ids])
    product_vectors = ranker.encode_products(prepared, products.tolist())
    vectors = query_vectors.astype(np.float64), product_vectors.astype(np.float64)
    return rerank_k_reciprocal(run, *vectors, product_idx, config)


def _prepared(pools: Any) -> PreparedData | None:
    """The prepared data that ``pools`` is or names; None if it is something else."""
    if hasattr(pools, "store"):
        return pools  # type: ignore[no-any-return]
    if not isinstance(pools, str | Path) or not Path(pools).is_dir():
        return None
    if not (Path(pools) / "data.json").is_file():
        raise InputError("a folder, but not prepared data (it has no data.json)", path=pools)
    # Only this branch pays for importing the Parquet reader.
    from shopsight.data.dataset import PreparedData

    return PreparedData.open(pools)


def _warn_coverage(result: Evaluation, run: types.Run, qrels: types.Qrels) -> None:
    _warn_spelling(run, qrels)
    for queries, meaning in (
        (result.unranked, "queries with answers that are not ranked, counted as 0"),
        (result.ignored, "ranked queries without answers, left out"),
        (result.without_relevant, "queries with nothing relevant in the answers, counted as 0"),
    ):
        if queries:
            log.warning("%s: %s: %s", result.name, meaning, abbreviated(queries))


def _warn_spelling(run: types.Run, qrels: types.Qrels) -> None:
    for warning in coverage_warnings(run, qrels):
        log.warning("%s: %s", run.name, warning)


def _warn_filled(aligned: Aligned) -> None:
    for run, filled in zip(aligned.runs, aligned.filled, strict=True):
        if filled:
            pairs = pluralise(filled, "(query, product) pair")
            log.warning("%s lacks %s, scored with its lowest score of the query", run.name, pairs)
