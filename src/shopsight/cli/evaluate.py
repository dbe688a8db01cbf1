"""``shopsight evaluate | compare | fuse | rerank | audit | submit | info``: commands on runs."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np

from shopsight.api.evaluation import audit, compare, evaluate, fuse, rerank, submit
from shopsight.api.info import info
from shopsight.api.runs import read_run
from shopsight.api.trainings import compare_trainings, is_run_folder
from shopsight.cli.output import FORMATS, RUN_OUTPUT, check_run_output, print_json, print_result
from shopsight.cli.parser import Parser, call
from shopsight.errors import UsageError, pluralise
from shopsight.formats.atomic import atomic_write
from shopsight.formats.outputs import check_output_file, check_suffix
from shopsight.formats.runs import run_name
from shopsight.metrics.evaluate import Evaluation
from shopsight.ranking.rerank import exclusive


def run(command: str, argv: list[str]) -> None:
    """Run a command of this family with its arguments."""
    _COMMANDS[command](argv)


def _evaluate(argv: list[str]) -> None:
    examples = [
        "evaluate valid_imagebert.tsv --answers valid_answer.json",
        "evaluate run.trec --answers qrels.txt --metrics ndcg@5 recall@10 map --json",
        "evaluate run.json --answers valid_answer.json --per-query values.tsv",
    ]
    parser = Parser("evaluate", evaluate, examples)
    parser.add_parameters(evaluate, "answers")
    text = "write the values of each query, TSV or CSV"
    parser.add_argument("--per-query", metavar="FILE", help=text)
    _add_format(parser)
    args = parser.read(argv)
    if args.per_query:
        check_suffix(args.per_query, (".tsv", ".csv"))
        check_output_file(args.per_query, (args.run, args.answers))
    result = call(evaluate, args)
    if args.per_query:
        _write_per_query(result, args.per_query)
    print_result(result, as_json=args.json, format=args.format)


def _compare(argv: list[str]) -> None:
    examples = [
        "compare valid_imagebert.tsv valid_lxmert_b6.json --answers valid_answer.json",
        "compare a.json b.json c.json --answers valid_answer.json --metrics ndcg@5 --json",
        "compare run other-run",
        "compare run other-run --model dual --split testA --format markdown",
        "compare run other-run --format html > changes.html",
    ]
    about = (
        "Compare rankings in a table, with paired randomisation tests: a run carries the letters of"
        " the runs that it beats significantly. Or compare run folders of `shopsight train` with"
        " the first of them: settings and data that differ, differences of scores with intervals"
        " and p-values, and the queries that changed most."
    )
    parser = Parser("compare", about, examples)
    _add_format(parser)
    parser.add_parameters(compare, skip={"answers"})
    parser.add_parameters(compare_trainings, split="S", model="M")
    args = parser.read(argv)
    folders = [is_run_folder(run) for run in args.runs]
    if any(folders) and not all(folders):
        raise UsageError("compare rankings with rankings, or run folders with run folders")
    if not any(folders) and args.answers is None:
        raise UsageError("comparing rankings needs --answers")
    result: Any = call(compare_trainings if all(folders) else compare, args)
    print_result(result, as_json=args.json, format=args.format)


def _add_format(parser: Parser) -> None:
    text = "format of the tables; csv has the numbers in full"
    parser.add_argument("--format", choices=FORMATS, default="text", help=text)


def _fuse(argv: list[str]) -> None:
    examples = [
        "fuse word.json sentence.json --answers valid_answer.json --out fused.json",
        "fuse a.json b.json c.json --normalise zscore --answers valid_answer.json --out f.json",
        "fuse testA_a.json testA_b.json --weights 0.63 0.37 --out testA_fused.json",
        "fuse a.json b.json --method rrf --out fused.json",
    ]
    parser = Parser("fuse", fuse, examples)
    parser.add_argument("--out", metavar="F", required=True, help=RUN_OUTPUT)
    parser.add_parameters(fuse, skip={"name"})
    args = parser.read(argv)
    check_run_output(args.out, *args.runs, args.answers)
    fused = call(fuse, args, name=run_name(args.out))
    fused.save(args.out)
    if args.json:
        print_json({**fused.fusion.to_dict(), "out": args.out})
    else:
        print_result(fused.fusion)
        print(f"written: {args.out}")


def _rerank(argv: list[str]) -> None:
    examples = [
        "rerank valid_imagebert.tsv --exclusive --out exclusive.json",
        "rerank valid_imagebert.tsv --exclusive --margin 0.92 --out exclusive.json",
        "rerank valid.json --k-reciprocal runs/fashion --data data --out reranked.json",
    ]
    parser = Parser("rerank", rerank, examples)
    parser.add_argument("--exclusive", action="store_true", help="one query per product")
    parser.add_argument("--out", metavar="F", required=True, help=RUN_OUTPUT)
    parser.add_parameters(rerank, k_reciprocal="RUNDIR", data="DATA")
    args = parser.read(argv)
    check_run_output(args.out, args.run)
    if args.exclusive and args.k_reciprocal:
        raise UsageError("name one re-ranking method: --exclusive, or --k-reciprocal RUNDIR")
    before = read_run(args.run)
    call(rerank, args, run=before).save(args.out)
    if args.k_reciprocal:
        print_json({"out": args.out}) if args.json else print(f"written: {args.out}")
        return
    kept = int(exclusive(before, args.margin).sum())
    demoted = len(before.scores) - kept
    if args.json:
        print_json({"kept": kept, "demoted": demoted, "out": args.out})
    else:
        print(f"{pluralise(kept, 'candidate')} kept, {demoted:,} demoted; written: {args.out}")


def _audit(argv: list[str]) -> None:
    examples = [
        "audit valid.tsv --answers valid_answer.json",
        "audit valid_imagebert.tsv --answers valid_answer.json --json",
        "audit data --split valid",
        "audit testB_imagebert.tsv",
    ]
    parser = Parser("audit", audit, examples)
    parser.add_parameters(audit)
    args = parser.read(argv)
    result = call(audit, args)
    if not args.json:
        print(f"{result.verdict}\n")
    print_result(result, as_json=args.json)


def _submit(argv: list[str]) -> None:
    examples = [
        "submit testB_imagebert.tsv --out submission.csv",
        "submit fused.json --pools testB.tsv --out submission.csv",
    ]
    parser = Parser("submit", submit, examples)
    parser.add_parameters(submit, "out")
    args = parser.read(argv)
    queries = call(submit, args)
    if args.json:
        print_json({"queries": queries, "out": args.out})
    else:
        count = pluralise(queries, "query", "queries")
        print(f"{count}, five products each; written: {args.out}")


def _info(argv: list[str]) -> None:
    parser = Parser("info", info, ["info data", "info run --json", "info valid_answer.json"])
    parser.add_parameters(info)
    args = parser.read(argv)
    print_result(info(args.path), as_json=args.json)


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


_COMMANDS = {
    "evaluate": _evaluate,
    "compare": _compare,
    "fuse": _fuse,
    "rerank": _rerank,
    "audit": _audit,
    "submit": _submit,
    "info": _info,
}
