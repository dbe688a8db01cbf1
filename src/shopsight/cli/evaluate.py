"""``shopsight evaluate | compare | rerank | submit``: commands on runs."""

from __future__ import annotations

import csv

import numpy as np

from shopsight.api.evaluation import compare, evaluate, rerank, submit
from shopsight.api.runs import read_run
from shopsight.cli.options import (
    RUN_FILE,
    add_evaluation,
    add_out,
    check_inputs,
    check_output,
    settings_from,
)
from shopsight.cli.output import print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.config import CompareConfig, EvaluateConfig
from shopsight.errors import pluralise
from shopsight.formats.atomic import atomic_write, resolve_output
from shopsight.metrics.evaluate import Evaluation
from shopsight.ranking.rerank import exclusive


def run(command: str, argv: list[str]) -> None:
    """Run a command of this family with its arguments."""
    {
        "evaluate": _evaluate,
        "compare": _compare,
        "rerank": _rerank,
        "submit": _submit,
    }[command](argv)


def _evaluate(argv: list[str]) -> None:
    parser = Parser(
        "evaluate",
        "Score a run against relevance judgements. Means are over the queries with judgements; a"
        " query that is not ranked counts as 0.",
        [
            "evaluate valid_imagebert.tsv --answers valid_answer.json",
            "evaluate run.trec --answers qrels.txt --metrics ndcg@5 recall@10 map --json",
            "evaluate run.json --answers valid_answer.json --per-query values.tsv",
        ],
    )
    parser.add_argument("run", metavar="RUN", help=RUN_FILE)
    add_evaluation(parser)
    parser.add_argument(
        "--per-query", metavar="FILE", help="write the values of each query, TSV or CSV"
    )
    parser.add_json()
    args = parser.read(argv)
    check_inputs(args.run, args.answers)
    if args.per_query:
        resolve_output(args.per_query)
    settings = settings_from(args, EvaluateConfig)
    result = evaluate(args.run, args.answers, seed=args.seed, **settings)
    if args.per_query:
        _write_per_query(result, args.per_query)
    print_result(result, as_json=args.json)


def _compare(argv: list[str]) -> None:
    parser = Parser(
        "compare",
        "Compare runs in a table, with paired randomisation tests: a run carries the letters of"
        " the runs that it beats significantly.",
        [
            "compare valid_imagebert.tsv valid_lxmert_b6.json --answers valid_answer.json",
            "compare a.json b.json c.json --answers valid_answer.json --metrics ndcg@5 --json",
        ],
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help=RUN_FILE)
    add_evaluation(parser)
    parser.add_class_arguments(CompareConfig, None)
    parser.add_json()
    args = parser.read(argv)
    check_inputs(*args.runs, args.answers)
    settings = settings_from(args, EvaluateConfig, CompareConfig)
    result = compare(args.runs, args.answers, seed=args.seed, **settings)
    print_result(result, as_json=args.json)


def _rerank(argv: list[str]) -> None:
    parser = Parser(
        "rerank",
        "Transductive post-processing of the competition: keep each product for its best query"
        " only, and demote it below all kept ones in other queries. It uses the candidate lists"
        " of other queries, which live search does not have.",
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
    add_out(parser)
    parser.add_json()
    args = parser.read(argv)
    check_output(args.out)
    before = read_run(args.run)
    rerank(before, args.exclusive, args.margin).save(args.out)
    kept = int(exclusive(before, args.margin).sum())
    demoted = len(before.scores) - kept
    if args.json:
        print_json({"kept": kept, "demoted": demoted, "out": args.out})
    else:
        print(f"{pluralise(kept, 'candidate')} kept, {demoted:,} demoted; written: {args.out}")


def _submit(argv: list[str]) -> None:
    parser = Parser(
        "submit",
        "Write the best five products of every query as submission.csv, or name the first query"
        " that is invalid.",
        [
            "submit testB_imagebert.tsv --out submission.csv",
            "submit fused.json --pools testB.tsv --out submission.csv",
        ],
    )
    parser.add_argument("run", metavar="RUN", help=RUN_FILE)
    add_out(parser, "output file")
    parser.add_argument(
        "--pools",
        metavar="POOLS",
        help="a score file or table of candidates whose queries and products must match exactly",
    )
    parser.add_json()
    args = parser.read(argv)
    check_inputs(args.run, args.pools)
    resolve_output(args.out)
    queries = submit(args.run, args.out, args.pools)
    if args.json:
        print_json({"queries": queries, "out": args.out})
    else:
        count = pluralise(queries, "query", "queries")
        print(f"{count}, five products each; written: {args.out}")


def _write_per_query(result: Evaluation, path: str) -> None:
    table = np.stack(list(result.per_query.values()), axis=1)
    with atomic_write(path) as file:
        dialect = "excel" if path.endswith(".csv") else "excel-tab"
        writer = csv.writer(file, dialect, lineterminator="\n")
        writer.writerow(["query_id", *result.per_query])
        # repr keeps every digit, so that values read back exactly.
        writer.writerows(
            [query, *map(repr, row)]
            for query, row in zip(result.query_ids, table.tolist(), strict=True)
        )
