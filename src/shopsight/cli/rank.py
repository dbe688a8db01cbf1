"""``shopsight rank | describe``: trained models at work on a prepared folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from shopsight.cli.options import OUT_FILE
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.formats.runs import run_format, write_run
from shopsight.tables import Grid

_SAMPLE = 5


def run(command: str, arguments: list[str]) -> None:
    """Run one of this family's commands with the words that follow it."""
    {"rank": _rank, "describe": _describe}[command](arguments)


def _rank(arguments: list[str]) -> None:
    parser = Parser(
        "rank",
        "Rank a split's candidates with a trained model, or with the ensemble at the weights that"
        " training found.",
        [
            "rank run data --split valid --out valid.json",
            "rank run data --split testB --model dual --out dual.trec",
        ],
    )
    parser.add_argument("run", metavar="RUN", help="run folder of `shopsight train`")
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    parser.add_argument("--split", metavar="S", required=True, help="which candidates")
    parser.add_argument(
        "--model",
        metavar="M",
        help="ensemble (default where there is one), word+sentence, label-match, word-match,"
        " sentence-match or dual",
    )
    parser.add_argument("--out", metavar="F", required=True, help=OUT_FILE)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_json()
    given = parser.read(arguments)
    run_format(given.out)  # refuse it before the work, not after
    data = PreparedData.open(given.data)
    data.pools(given.split)

    from shopsight.inference.ranker import Ranker
    from shopsight.training.distributed import choose_device

    ranking = Ranker.read(given.run, data, choose_device(given.device))
    model = given.model or ranking.default
    result = ranking.rank(model, given.split)
    write_run(result, given.out)
    pairs, queries = len(result.scores), len(result)
    if given.json:
        print_json({"model": model, "queries": queries, "pairs": pairs, "out": given.out})
    elif not given.quiet:
        print(f"{model}: {pairs:,} candidates of {queries:,} queries ranked; written: {given.out}")


def _describe(arguments: list[str]) -> None:
    parser = Parser(
        "describe",
        "What the pretrained model sees on product photos: tags with their probabilities, and"
        " captions by beam search.",
        [
            "describe run data --product 100000017 100000023",
            "describe run data --split valid",
            "describe run data --product 100000017 --beam 1 --json",
        ],
    )
    parser.add_argument("run", metavar="RUN", help="run folder with a trained label-match stage")
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    parser.add_argument("--product", metavar="ID", nargs="+", default=[], help="product ids")
    parser.add_argument("--split", metavar="S", help=f"{_SAMPLE} random products of this split")
    parser.add_argument("--tags", type=int, default=6, help="tags a product")
    parser.add_argument("--beam", type=int, default=5, help="beam width; 1 is greedy search")
    parser.add_argument("--depth", type=int, default=15, help="most tokens of a caption")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_json()
    given = parser.read(arguments)
    if bool(given.product) == bool(given.split):
        raise UsageError("name products with --product, or a split with --split")
    if min(given.tags, given.beam, given.depth) < 1:
        raise UsageError("--tags, --beam and --depth must be at least 1")
    data = PreparedData.open(given.data)
    wanted = [str(one) for one in given.product] or _some(data, given)
    data.store.index_of(wanted)

    from shopsight.inference.captioner import Captioner
    from shopsight.training.distributed import choose_device

    describer = Captioner.read(given.run, data, choose_device(given.device))
    found = describer.describe(wanted, given.tags, given.beam, given.depth)
    if given.json:
        print_json({one.product_id: {"tags": dict(one.tags), "captions": dict(one.captions)}
                    for one in found})  # fmt: skip
        return
    rows = [
        (
            one.product_id,
            ", ".join(f"{word} {chance:.2f}" for word, chance in one.tags),
            one.captions[0][0],
        )
        for one in found
    ]
    print_grid(Grid(("product", "tags", "caption"), tuple(rows)))


def _some(data: PreparedData, given: Any) -> list[str]:
    products = sorted(set(data.pools(given.split).product_ids.tolist()))
    chosen = np.random.default_rng(given.seed).permutation(len(products))[:_SAMPLE]
    return [products[i] for i in chosen]
