"""``shopsight rank | describe``: use trained models on a prepared folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from shopsight.cli.options import OUT_FILE
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.formats.runs import run_format, write_run
from shopsight.models.registry import PRETRAINING, model_names
from shopsight.tables import Grid

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
        help=f"ensemble (default if there is one), word+sentence, {names}",
    )
    parser.add_argument("--out", metavar="F", required=True, help=OUT_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_json()
    args = parser.read(argv)
    run_format(args.out)  # an unknown ending is an error before the work, not after it
    data = PreparedData.open(args.data)
    data.pools(args.split)

    from shopsight.inference.ranker import Ranker

    ranker = Ranker.open(args.run, args.device)
    model = args.model or ranker.default
    result = ranker.rank(data, args.split, model)
    write_run(result, args.out)
    pairs, queries = len(result.scores), len(result)
    if args.json:
        print_json({"model": model, "queries": queries, "pairs": pairs, "out": args.out})
    elif not args.quiet:
        print(f"{model}: {pairs:,} candidates of {queries:,} queries ranked; written: {args.out}")


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
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_json()
    args = parser.read(argv)
    if bool(args.product) == bool(args.split):
        raise UsageError("name products with --product, or a split with --split")
    if min(args.tags, args.beam, args.depth) < 1:
        raise UsageError("--tags, --beam and --depth must be at least 1")
    data = PreparedData.open(args.data)
    product_ids = [str(product) for product in args.product] or _sample(data, args)
    data.store.index_of(product_ids)

    from shopsight.inference.ranker import Ranker

    ranker = Ranker.open(args.run, args.device)
    descriptions = ranker.describe(data, product_ids, args.tags, args.beam, args.depth)
    if args.json:
        print_json(
            {
                product.product_id: {
                    "tags": dict(product.tags),
                    "captions": dict(product.captions),
                }
                for product in descriptions
            }
        )
        return
    rows = [
        (
            product.product_id,
            ", ".join(f"{word} {probability:.2f}" for word, probability in product.tags),
            product.captions[0][0],
        )
        for product in descriptions
    ]
    print_grid(Grid(("product", "tags", "caption"), tuple(rows)))


def _sample(data: PreparedData, args: Any) -> list[str]:
    products = sorted(set(data.pools(args.split).product_ids.tolist()))
    chosen = np.random.default_rng(args.seed).permutation(len(products))[:_SAMPLE]
    return [products[i] for i in chosen]
