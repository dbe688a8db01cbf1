"""``shopsight train``: from prepared data to models, runs, ensemble, submission and report."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from shopsight.api.training import TrainArguments, plan, train
from shopsight.cli.output import print_grid, print_json, print_result
from shopsight.cli.parser import Parser, call
from shopsight.cli.step_log import StepLog
from shopsight.config.recipes import recipe_names
from shopsight.models.registry import model_names
from shopsight.tables import Grid

if TYPE_CHECKING:
    from shopsight.training.dry_run import Plan


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight train`` with its arguments."""
    args = _parser().read(argv)
    silent = args.quiet or args.json
    options = {name: args[name] for name in ("device", "seed", "threads", "reuse")}
    if args.dry_run:
        estimate = call(plan, args, **options)
        print_json(asdict(estimate)) if args.json else print_grid(_plan_grid(estimate))
        return
    options |= {"quiet": silent, "log": StepLog(silent).done}
    ranker = call(train, args, **options)
    if ranker.results is None:  # not the first of several processes
        return
    if args.json:
        print_json({**ranker.results.to_dict(), "report": str(ranker.report)})
        return
    print()
    print_result(ranker.results)
    print(f"Report: {ranker.report.resolve()}")


def _parser() -> Parser:
    examples = [
        "train data --recipe tiny --out run",
        "train data --recipe fashion --out run --set word_match.margin=0.5 seed=1",
        "train data --recipe mine.yaml --out run --stages label-match word-match",
        "train data --recipe fashion --out run --resume",
        "train data --recipe fashion --out other --reuse run --set word_match.hardest=false",
        "train data --recipe kddcup --out run --dry-run",
    ]
    parser = Parser("train", train, examples)
    add, names = parser.add_argument, model_names()
    recipes = ", ".join(recipe_names())
    add("--recipe", metavar="R", required=True, help=f"{recipes}, or a YAML file")
    add("--stages", nargs="+", choices=names, help="models to train; by default the recipe's")
    parser.add_parameters(train, "out", out="RUN", set="key=value")
    add("--dry-run", action="store_true", help="print the estimated steps, time and memory only")
    others = {"baselines", "title", "note", "report", "quiet", "log"}
    parser.add_parameters(TrainArguments, skip=others, reuse="RUN")
    parser.set_defaults(seed=None)
    return parser


def _plan_grid(plan: Plan) -> Grid:
    rows = [
        (
            stage.stage,
            f"{stage.parameters:,}",
            f"{stage.trained:,}",
            f"{stage.epochs}",
            f"{stage.steps:,}",
            f"{stage.pairs_per_second:,.0f}" if stage.pairs_per_second else "–",
            "done" if stage.finished else f"{stage.seconds / 60:,.1f} min",
            f"{stage.memory_mib:,.0f} MiB",
        )
        for stage in plan.stages
    ]
    columns = ("stage", "weights", "trained", "epochs", "steps", "pairs/s", "time", "memory")
    return Grid(columns, tuple(rows), plan.note)
