"""``shopsight evaluate | compare | rerank | submit``: commands on runs."""

from __future__ import annotations

import csv
import logging

import numpy as np

from shopsight.cli.options import (
    OUT_FILE,
    RUN_FILE,
    add_evaluation,
    check_inputs,
    check_output,
    config_from,
    read_runs,
)
from shopsight.cli.output import print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.config import CompareConfig, EvaluateConfig
from shopsight.errors import UsageError, pluralise
from shopsight.formats.atomic import atomic_write, resolve_output
from shopsight.formats.candidates import read_candidates
from shopsight.formats.qrels import read_qrels
from shopsight.formats.runs import read_run, write_run
from shopsight.formats.submission import write_submission
from shopsight.metrics.evaluate import Evaluation, evaluate
from shopsight.metrics.significance import compare
from shopsight.ranking.rerank import exclusive, rerank_exclusive

log = logging.getLogger("shopsight")


def run(command: str, arguments: list[str]) -> None:
    """Run one of this family's commands with the words that follow it."""
    {
        "evaluate": _evaluate,
        "compare": _compare,
        "rerank": _rerank,
        "submit": _submit,
    }[command](arguments)


def _evaluate(arguments: list[str]) -> None:
    parser = Parser(
        "evaluate",
        "Score a run against answers. Means are over the queries of the answers; a query that is"
        " not ranked counts as 0.",
        [
            "evaluate valid_imagebert.tsv --answers valid_answer.json",
            "evaluate run.trec --answers qrels.txt --metrics ndcg@5 recall@10 map --json",
            "evaluate run.json --answers valid_answer.json --per-query values.tsv",
        ],
    )
    parser.add_argument("run", metavar="RUN", help=RUN_FILE)
    add_evaluation(parser)
    parser.add_argument("--per-query", metavar="FILE", help="write each query's values, TSV or CSV")
    parser.add_json()
    given = parser.read(arguments)
    config = config_from(EvaluateConfig, given)
    check_inputs(given.run, given.answers)
    if given.per_query:
        resolve_output(given.per_query)
    result = evaluate(read_run(given.run), read_qrels(given.answers), config, given.seed)
    _warn_coverage(result)
    if given.per_query:
        _write_per_query(result, given.per_query)
    if given.json:
        print_json(result.estimates)
    else:
        print_result(result)


def _compare(arguments: list[str]) -> None:
    parser = Parser(
        "compare",
        "Several runs in one table, with paired randomisation tests: a run carries the letters"
        " of the runs that it beats significantly.",
        [
            "compare valid_imagebert.tsv valid_lxmert_b6.json --answers valid_answer.json",
            "compare a.json b.json c.json --answers valid_answer.json --metrics ndcg@5 --json",
        ],
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help=RUN_FILE)
    add_evaluation(parser)
    parser.add_class_arguments(CompareConfig, None)
    parser.add_json()
    given = parser.read(arguments)
    evaluation = config_from(EvaluateConfig, given)
    check_inputs(*given.runs, given.answers)
    result = compare(
        read_runs(given.runs),
        read_qrels(given.answers),
        config_from(CompareConfig, given),
        evaluation,
        given.seed,
    )
    for one in result.evaluations:
        _warn_coverage(one)
    if given.json:
        print_json(result.to_dict())
    else:
        print_result(result)


def _rerank(arguments: list[str]) -> None:
    parser = Parser(
        "rerank",
        "Transductive post-processing of the competition: keep each product for its best query"
        " only, and put it below all kept ones elsewhere. It uses the candidate lists of other"
        " queries, which no live search can do.",
        [
            "rerank valid_imagebert.tsv --exclusive --out exclusive.json",
            "rerank valid_imagebert.tsv --exclusive --margin 0.92 --out exclusive.json",
        ],
    )
    parser.add_argument("run", metavar="RUN", help=RUN_FILE)
    parser.add_argument("--exclusive", action="store_true", help="one query per product (required)")
    parser.add_argument(
        "--margin",
        metavar="M",
        type=float,
        help="keep a contested product only if its best query leads the second by more than this",
    )
    parser.add_argument("--out", metavar="F", required=True, help=OUT_FILE)
    parser.add_json()
    given = parser.read(arguments)
    if not given.exclusive:
        raise UsageError("say how to re-rank: --exclusive")
    check_output(given.out)
    before = read_run(given.run)
    after = rerank_exclusive(before, given.margin)
    write_run(after, given.out)
    log.warning(
        "this re-ranking is transductive: it uses other queries' candidates, which no live search"
        " can do"
    )
    kept = int(exclusive(before, given.margin).sum())
    result = {"kept": kept, "demoted": len(before.scores) - kept, "out": given.out}
    if given.json:
        print_json(result)
    else:
        said = pluralise(kept, "candidate")
        print(f"{said} kept, {result['demoted']:,} demoted; written: {given.out}")


def _submit(arguments: list[str]) -> None:
    parser = Parser(
        "submit",
        "Write the best five products of every query as submission.csv, or say which query is"
        " wrong.",
        [
            "submit testB_imagebert.tsv --out submission.csv",
            "submit fused.json --pools testB.tsv --out submission.csv",
        ],
    )
    parser.add_argument("run", metavar="RUN", help=RUN_FILE)
    parser.add_argument("--out", metavar="F", required=True, help="where to write it")
    parser.add_argument(
        "--pools",
        metavar="POOLS",
        help="a score file or table of candidates: exactly its queries and products may be there",
    )
    parser.add_json()
    given = parser.read(arguments)
    check_inputs(given.run, given.pools)
    resolve_output(given.out)
    pools = read_candidates(given.pools).pools if given.pools else None
    queries = write_submission(read_run(given.run, given.run), given.out, pools)
    if given.json:
        print_json({"queries": queries, "out": given.out})
    else:
        said = pluralise(queries, "query", "queries")
        print(f"{said}, five products each; written: {given.out}")


def _warn_coverage(result: Evaluation) -> None:
    for queries, what in (
        (result.unranked, "queries with answers that are not ranked, counted as 0"),
        (result.ignored, "ranked queries without answers, left out"),
        (result.without_relevant, "queries with nothing relevant in the answers, counted as 0"),
    ):
        if queries:
            some = ", ".join(queries[:3]) + (", ..." if len(queries) > 3 else "")
            log.warning("%s: %s: %d (%s)", result.name, what, len(queries), some)


def _write_per_query(result: Evaluation, path: str) -> None:
    table = np.stack(list(result.per_query.values()), axis=1)
    with atomic_write(path) as file:
        writer = csv.writer(
            file, "excel" if path.endswith(".csv") else "excel-tab", lineterminator="\n"
        )
        writer.writerow(["query_id", *result.per_query])
        writer.writerows(
            [query, *map(repr, row)]
            for query, row in zip(result.query_ids, table.tolist(), strict=True)
        )
