"""``shopsight fuse``: combine runs, with in-sample and cross-validated scores."""

from __future__ import annotations

from shopsight.api.evaluation import fuse
from shopsight.cli.options import (
    RUN_FILE,
    add_answers,
    add_out,
    check_inputs,
    check_output,
    settings_from,
)
from shopsight.cli.output import print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.config import EvaluateConfig, FusionConfig
from shopsight.formats.runs import run_name


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight fuse`` with its arguments."""
    parser = Parser(
        "fuse",
        "Combine runs by a weighted sum of their scores. Weights are fitted to relevance"
        " judgements; both the in-sample and the cross-validated score are reported.",
        [
            "fuse word.json sentence.json --answers valid_answer.json --out fused.json",
            "fuse a.json b.json c.json --normalise zscore --answers valid_answer.json --out f.json",
            "fuse testA_a.json testA_b.json --weights 0.63 0.37 --out testA_fused.json",
            "fuse a.json b.json --method rrf --out fused.json",
        ],
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help=RUN_FILE)
    add_answers(parser, required=False, help="relevance judgements to fit the weights to")
    add_out(parser)
    parser.add_argument(
        "--weights", metavar="W", nargs="+", type=float, help="fixed weights, one per run"
    )
    parser.add_argument(
        "--metric", metavar="M", default=EvaluateConfig.metrics[0], help="metric to maximise"
    )
    parser.add_class_arguments(FusionConfig, None)
    parser.add_json()
    args = parser.read(argv)
    check_inputs(*args.runs, args.answers)
    check_output(args.out)
    fused = fuse(
        args.runs,
        args.answers,
        weights=args.weights,
        metric=args.metric,
        seed=args.seed,
        name=run_name(args.out),
        **settings_from(args, FusionConfig),
    )
    fused.save(args.out)
    if args.json:
        print_json({**fused.fusion.to_dict(), "out": args.out})
    else:
        print_result(fused.fusion)
        print(f"written: {args.out}")
