"""``shopsight audit``: check candidate pools for label leakage."""

from __future__ import annotations

from shopsight.api.evaluation import audit
from shopsight.cli.options import add_answers, check_inputs
from shopsight.cli.output import print_result
from shopsight.cli.parser import Parser


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight audit`` with its arguments."""
    parser = Parser(
        "audit",
        "Check whether candidate pools leak relevance labels: rank the candidates by how few pools"
        " offer them, without a model, and compare that with random order. Also finds repeated"
        " products, empty and repeated queries, and relevant products outside the pools.",
        [
            "audit valid.tsv --answers valid_answer.json",
            "audit valid_imagebert.tsv --answers valid_answer.json --json",
            "audit data --split valid",
            "audit testB_imagebert.tsv",
        ],
    )
    parser.add_argument(
        "pools",
        metavar="POOLS",
        help="a score file; a table with query_id and product_id columns; or prepared data",
    )
    add_answers(
        parser,
        required=False,
        help="competition JSON or TREC qrels; prepared data may have their own",
    )
    parser.add_argument("--split", metavar="S", default="valid", help="split of prepared data")
    parser.add_json()
    args = parser.read(argv)
    check_inputs(args.pools, args.answers)
    result = audit(args.pools, args.answers, args.split, args.seed)
    if not args.json:
        print(f"{result.verdict}\n")
    print_result(result, as_json=args.json)
