"""``shopsight fuse``: combine runs, and say what that is worth on queries the fit never saw."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shopsight.cli.options import (
    OUT_FILE,
    RUN_FILE,
    check_inputs,
    check_output,
    config_from,
    read_runs,
)
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.config import EvaluateConfig, FusionConfig
from shopsight.errors import UsageError, pluralise
from shopsight.formats.qrels import read_qrels
from shopsight.formats.runs import run_name, write_run
from shopsight.metrics.evaluate import Estimate, Evaluator, estimate, estimates_grid
from shopsight.metrics.gain import parse_metric
from shopsight.ranking.fusion import fuse
from shopsight.ranking.run import Aligned, align
from shopsight.ranking.weights import fit_weights
from shopsight.types import FloatArray, Run

log = logging.getLogger("shopsight")


@dataclass(frozen=True)
class _Outcome:
    """The weights to use, and what is known of their worth: nothing, without answers."""

    weights: tuple[float, ...]
    members: dict[str, Estimate]
    fused: dict[str, Estimate]


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight fuse`` with the words that follow it."""
    given = _parser().read(arguments)
    config = config_from(FusionConfig, given)
    parse_metric(given.metric)
    check_inputs(*given.runs, given.answers)
    check_output(given.out)
    runs = read_runs(given.runs)
    if len(runs) < 2:
        raise UsageError("fusion needs at least two runs")
    aligned = align(runs)
    _warn_filled(aligned)
    outcome = _outcome(aligned.runs, config, given)
    write_run(fuse(aligned.runs, outcome.weights, config, run_name(given.out)), given.out)
    names = [one.name for one in runs]
    weights = dict(zip(names, outcome.weights, strict=True))
    if given.json:
        filled = dict(zip(names, aligned.filled, strict=True))
        worth = {"members": outcome.members, **outcome.fused} if outcome.fused else {}
        print_json(
            {
                "weights": weights,
                "metric": given.metric,
                **worth,
                "filled": filled,
                "out": given.out,
            }
        )
    else:
        _print(weights, outcome, given)


def _parser() -> Parser:
    parser = Parser(
        "fuse",
        "Combine runs by a weighted sum of their scores. Weights are fitted to answers and"
        " judged twice: in sample, and held out (each query under weights fitted without it).",
        [
            "fuse word.json sentence.json --answers valid_answer.json --out fused.json",
            "fuse a.json b.json c.json --normalise zscore --answers valid_answer.json --out f.json",
            "fuse testA_a.json testA_b.json --weights 0.63 0.37 --out testA_fused.json",
            "fuse a.json b.json --method rrf --out fused.json",
        ],
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help=RUN_FILE)
    parser.add_argument("--answers", metavar="A", help="answers to fit the weights to")
    parser.add_argument("--out", metavar="F", required=True, help=OUT_FILE)
    parser.add_argument(
        "--weights", metavar="W", nargs="+", type=float, help="fixed weights, one for each run"
    )
    parser.add_argument("--metric", metavar="M", default="ndcg@5", help="what is maximised")
    parser.add_class_arguments(FusionConfig, None)
    parser.add_json()
    return parser


def _outcome(runs: Sequence[Run], config: FusionConfig, given: Any) -> _Outcome:
    fixed = tuple(given.weights) if given.weights else None
    if fixed is None and config.method == "rrf":
        fixed = (1.0 / len(runs),) * len(runs)
    if given.answers is None:
        if fixed is None:
            raise UsageError("fitting weights needs --answers; or give --weights, or --method rrf")
        return _Outcome(fixed, {}, {})
    judge = Evaluator(read_qrels(given.answers))

    def values(one: Run) -> FloatArray:
        return judge.per_query(one, given.metric)

    members = estimate({one.name: values(one) for one in runs}, seed=given.seed)
    if fixed is not None:
        fused = {"fixed": values(fuse(runs, fixed, config))}
        return _Outcome(fixed, members, estimate(fused, seed=given.seed))
    fitted = fit_weights(runs, values, config, given.seed)
    fused = {"in_sample": fitted.in_sample, "held_out": fitted.held_out}
    return _Outcome(fitted.weights, members, estimate(fused, seed=given.seed))


def _warn_filled(aligned: Aligned) -> None:
    for one, filled in zip(aligned.runs, aligned.filled, strict=True):
        if filled:
            log.warning(
                "%s lacks %s, which %s its lowest score of the query",
                one.name,
                pluralise(filled, "(query, product) pair"),
                "gets" if filled == 1 else "get",
            )


def _print(weights: dict[str, float], outcome: _Outcome, given: Any) -> None:
    for name, weight in weights.items():
        print(f"{weight:8.4f}  {name}")
    print()
    if outcome.fused:
        words = {"fixed": "fused", "in_sample": "fused, in sample", "held_out": "fused, held out"}
        lines = {**outcome.members, **{words[name]: one for name, one in outcome.fused.items()}}
        print_grid(estimates_grid(given.metric, lines, EvaluateConfig.confidence))
    print(f"written: {given.out}")
