"""``shopsight rank | describe``: use trained models on a prepared folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from shopsight.api.data import load
from shopsight.api.ranker import Ranker, open_ranker
from shopsight.cli.argv import as_text
from shopsight.cli.output import RUN_OUTPUT, check_run_output, print_json, print_result
from shopsight.cli.parser import Parser, call
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError

_SAMPLE = 5


def run(command: str, argv: list[str]) -> None:
    """Run ``shopsight rank`` or ``shopsight describe`` with its arguments."""
    {"rank": _rank, "describe": _describe}[command](argv)


def _rank(argv: list[str]) -> None:
    examples = [
        "rank run data --split valid --out valid.json",
        "rank run data --split testB --model dual --out dual.trec",
    ]
    parser = Parser("rank", Ranker.rank, examples)
    parser.add_parameters(open_ranker, path="RUN")
    parser.add_argument("--out", metavar="F", required=True, help=RUN_OUTPUT)
    parser.add_parameters(Ranker.rank, "split")
    args = parser.read(argv)
    check_run_output(args.out)
    data = load(args.data)
    data.pools(args.split)  # an unknown split is an error before the work, not after it
    run = call(call(open_ranker, args).rank, args, data=data)
    run.save(args.out)
    pairs, queries = len(run.scores), len(run)
    if args.json:
        print_json({"model": run.name, "queries": queries, "pairs": pairs, "out": args.out})
    elif not args.quiet:
        print(
            f"{run.name}: {pairs:,} candidates of {queries:,} queries ranked; written: {args.out}"
        )


def _describe(argv: list[str]) -> None:
    examples = [
        "describe run data --product 100000017 100000023",
        "describe run data --split valid",
        "describe run data --product 100000017 --beam 1 --json",
    ]
    parser = Parser("describe", Ranker.describe, examples)
    parser.add_parameters(open_ranker, path="RUN")
    parser.add_parameters(Ranker.describe, skip={"product_ids"})
    many: dict[str, Any] = {"nargs": "+", "type": str, "default": []}
    parser.add_argument("--product", metavar="ID", help="product ids", **many)
    parser.add_argument("--split", metavar="S", help=f"{_SAMPLE} random products of this split")
    args = parser.read(argv)
    if bool(args.product) == bool(args.split):
        raise UsageError("name products with --product, or a split with --split")
    data = load(args.data)
    products = [as_text(product) for product in args.product] or _sample(data, args)
    data.store.index_of(products)
    result = call(call(open_ranker, args).describe, args, data=data, product_ids=products)
    print_result(result, as_json=args.json)


def _sample(data: PreparedData, args: Any) -> list[str]:
    products = sorted(set(data.pools(args.split).product_ids.tolist()))
    chosen = np.random.default_rng(args.seed).permutation(len(products))[:_SAMPLE]
    return [products[i] for i in chosen]
