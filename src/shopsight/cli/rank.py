"""``shopsight rank | describe``: use trained models on a prepared folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from shopsight.api.data import load
from shopsight.cli.options import add_device, add_out, check_output
from shopsight.cli.output import print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.models.registry import PRETRAINING, model_names

_SAMPLE = 5


def run(command: str, argv: list[str]) -> None:
    """Run ``shopsight rank`` or ``shopsight describe`` with its arguments."""
    {"rank": _rank, "describe": _describe}[command](argv)


def _rank(argv: list[str]) -> None:
    parser = Parser(
        "rank",
        "Rank a split's candidates with a trained model, or with the ensemble at its fitted"
        " weights.",
        [
            "rank run data --split valid --out valid.json",
            "rank run data --split testB --model dual --out dual.trec",
        ],
    )
    parser.add_argument("run", metavar="RUN", help="run folder of `shopsight train`")
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    parser.add_argument("--split", metavar="S", required=True, help="split to rank")
    names = f"{', '.join(model_names()[:-1])} or {model_names()[-1]}"
    parser.add_argument(
        "--model",
        metavar="M",
        default="ensemble",
        help=f"ensemble (or the only model if just one was trained), word+sentence, {names}",
    )
    add_out(parser)
    add_device(parser)
    parser.add_json()
    args = parser.read(argv)
    check_output(args.out)
    data = load(args.data)
    data.pools(args.split)  # an unknown split is an error before the work, not after it

    from shopsight.api.ranker import open_ranker

    run = open_ranker(args.run, args.device).rank(data, args.split, args.model)
    run.save(args.out)
    pairs, queries = len(run.scores), len(run)
    if args.json:
        print_json({"model": run.name, "queries": queries, "pairs": pairs, "out": args.out})
    elif not args.quiet:
        print(
            f"{run.name}: {pairs:,} candidates of {queries:,} queries ranked; written: {args.out}"
        )


def _describe(argv: list[str]) -> None:
    parser = Parser(
        "describe",
        "Describe product photos with the label-match model: tags with their probabilities, and"
        " captions by beam search.",
        [
            "describe run data --product 100000017 100000023",
            "describe run data --split valid",
            "describe run data --product 100000017 --beam 1 --json",
        ],
    )
    help_run = f"run folder with a trained {PRETRAINING} stage"
    parser.add_argument("run", metavar="RUN", help=help_run)
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    parser.add_argument("--product", metavar="ID", nargs="+", default=[], help="product ids")
    parser.add_argument("--split", metavar="S", help=f"{_SAMPLE} random products of this split")
    parser.add_argument("--tags", type=int, default=6, help="tags per product")
    parser.add_argument("--beam", type=int, default=5, help="beam width; 1 is greedy search")
    parser.add_argument("--depth", type=int, default=15, help="maximum tokens per caption")
    add_device(parser)
    parser.add_json()
    args = parser.read(argv)
    if bool(args.product) == bool(args.split):
        raise UsageError("name products with --product, or a split with --split")
    data = load(args.data)
    products = [str(product) for product in args.product] or _sample(data, args)
    data.store.index_of(products)

    from shopsight.api.ranker import open_ranker

    ranker = open_ranker(args.run, args.device)
    result = ranker.describe(data, products, args.tags, args.beam, args.depth)
    print_result(result, as_json=args.json)


def _sample(data: PreparedData, args: Any) -> list[str]:
    products = sorted(set(data.pools(args.split).product_ids.tolist()))
    chosen = np.random.default_rng(args.seed).permutation(len(products))[:_SAMPLE]
    return [products[i] for i in chosen]
