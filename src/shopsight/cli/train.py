"""``shopsight train``: from prepared data to models, runs, ensemble, submission and report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopsight.api.training import TrainArguments, train
from shopsight.cli.options import add_device
from shopsight.cli.output import print_grid, print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.cli.step_log import StepLog
from shopsight.config.recipes import recipe_names
from shopsight.data.dataset import PreparedData
from shopsight.models.registry import model_names
from shopsight.tables import Grid

if TYPE_CHECKING:
    from shopsight.training.dry_run import Plan


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight train`` with its arguments."""
    args = _parser().read(argv)
    if args.dry_run:
        _print_plan(args)
        return
    silent = args.quiet or args.json
    ranker = train(
        args.data,
        args.recipe,
        args.out,
        args.set,
        args.stages,
        args.resume,
        device=args.device,
        seed=args.seed,
        threads=args.threads,
        reuse=args.reuse,
        quiet=silent,
        log=StepLog(silent).done,
    )
    if ranker.results is None:  # not the first of several processes
        return
    if args.json:
        print_json({**ranker.results.to_dict(), "report": str(ranker.report)})
        return
    print()
    print_result(ranker.results)
    print(f"Report: {ranker.report.resolve()}")


def _parser() -> Parser:
    names = model_names()
    parser = Parser(
        "train",
        "Train all models of a recipe and rank with them: group queries for negatives, train"
        f" {', '.join(names)}; then rank valid with each model, fuse, evaluate, rank the other"
        " splits, and write runs, submissions and a report into one folder. Finished stages are"
        " kept, interrupted ones resume. Under torchrun, several processes train together.",
        [
            "train data --recipe tiny --out run",
            "train data --recipe fashion --out run --set word_match.margin=0.5 seed=1",
            "train data --recipe mine.yaml --out run --stages label-match word-match",
            "train data --recipe fashion --out run --resume",
            "train data --recipe fashion --out other --reuse run --set word_match.hardest=false",
            "train data --recipe kddcup --out run --dry-run",
        ],
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="prepared folder with splits train and valid")
    recipes = ", ".join(recipe_names())
    add("--recipe", metavar="R", required=True, help=f"{recipes}, or a YAML file")
    add("--out", metavar="RUN", required=True, help="run folder")
    add("--set", metavar="key=value", nargs="+", default=[], help="changes to the recipe")
    add("--stages", nargs="+", choices=names, default=list(names), help="models to train")
    add("--resume", action="store_true", help="resume an existing run folder")
    add(
        "--reuse",
        metavar="RUN",
        nargs="+",
        default=[],
        help="other run folders, whose finished stages are copied if all settings that decide"
        " them are the same",
    )
    add("--dry-run", action="store_true", help="print the estimated steps, time and memory only")
    add_device(parser)
    add("--threads", type=int, default=0, help="processor threads; 0 uses the recipe's number")
    parser.set_defaults(seed=None)
    parser.add_json()
    return parser


def _print_plan(args: Any) -> None:
    from shopsight.training.validate import check

    recipe = TrainArguments(seed=args.seed, threads=args.threads).recipe(args.recipe, args.set)
    stages = [stage for stage in model_names() if stage in args.stages]
    data, out = PreparedData.open(args.data), Path(args.out)
    check(data, recipe, stages, out)
    # Importing torch takes seconds: a mistake is reported before that.
    from shopsight.device import choose_device
    from shopsight.training.dry_run import make_plan

    plan = make_plan(data, recipe, stages, out, choose_device(args.device))
    if args.json:
        print_json(asdict(plan))
    else:
        print_grid(_plan_grid(plan))


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
