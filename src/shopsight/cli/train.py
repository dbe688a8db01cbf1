"""``shopsight train``: from prepared data to models, runs, ensemble, submission and report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopsight.cli.output import print_grid, print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.cli.step_log import StepLog
from shopsight.config import Recipe
from shopsight.config.recipes import load_recipe, recipe_names
from shopsight.data.dataset import PreparedData
from shopsight.errors import OutputError
from shopsight.models.registry import model_names
from shopsight.tables import Grid

if TYPE_CHECKING:
    from shopsight.inference.evaluate import Results
    from shopsight.training.dry_run import Plan
    from shopsight.training.pipeline import TrainOptions


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight train`` with its arguments."""
    args = _parser().read(argv)
    recipe = load_recipe(args.recipe, args.set)
    if args.seed is not None:
        recipe = replace(recipe, seed=args.seed)
    if args.threads:
        recipe = replace(recipe, threads=args.threads)
    stages = [stage for stage in model_names() if stage in args.stages]
    data, out = PreparedData.open(args.data), Path(args.out)
    # Importing torch takes seconds: a mistake is reported before that.
    from shopsight.training.validate import check

    check(data, recipe, stages, out)
    _check_out(out, args)
    if args.dry_run:
        _show_plan(data, recipe, stages, args)
    else:
        _train(data, recipe, stages, args)


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
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    add("--threads", type=int, default=0, help="processor threads; 0 uses the recipe's number")
    parser.set_defaults(seed=None)
    parser.add_json()
    return parser


def _check_out(out: Path, args: Any) -> None:
    # Under torchrun only the first process creates the folder; the others may see it already.
    first = os.environ.get("RANK", "0") == "0"
    if first and (out / "run.json").exists() and not args.resume and not args.dry_run:
        raise OutputError(f"{out}: contains a run already; add --resume, or choose another --out")


def _train(data: PreparedData, recipe: Recipe, stages: list[str], args: Any) -> None:
    from shopsight.training.pipeline import TrainOptions

    silent = args.quiet or args.json
    options = TrainOptions(stages, reuse=[Path(path) for path in args.reuse])
    log = StepLog(silent)
    trained = train_and_report(data, recipe, Path(args.out), log, options, device=args.device)
    if trained is None:  # not the first of several processes
        return
    results, page = trained
    if args.json:
        print_json(results_json(results, page))
        return
    print()
    print_result(results.comparison)
    print(f"Report: {page.resolve()}")


@dataclass(frozen=True)
class Page:
    """Settings of the report.

    Args:
        title: its heading.
        note: a few words about a product, by its id; the model's tags if left out.
        path: its file; ``report.html`` in the run folder if left out.
    """

    title: str = "Training report"
    note: Callable[[str], str] | None = None
    path: Path | None = None


def train_and_report(
    data: PreparedData,
    recipe: Recipe,
    out: Path,
    log: StepLog,
    options: TrainOptions,
    page: Page | None = None,
    device: str = "auto",
) -> tuple[Results, Path] | None:
    """Train, evaluate, and write the report.

    Args:
        data: the prepared folder.
        recipe: all settings.
        out: the run folder.
        log: receives finished steps; a silent one also hides the progress line.
        options: stages, baselines and reused runs.
        page: settings of the report.
        device: "auto" or the name of a device.

    Returns:
        The results and the file of the report; None in all processes but the first.
    """
    from shopsight.inference.evaluate import no_progress
    from shopsight.reports.html import write_page
    from shopsight.reports.training_report import build_report
    from shopsight.training.callbacks import ProgressLine
    from shopsight.training.distributed import init_distributed
    from shopsight.training.pipeline import train

    page = page or Page()
    with init_distributed(device) as context, ProgressLine(log.silent or not context.main) as line:
        step_done = log.done if context.main else no_progress
        options = replace(options, context=context, callback=line, step_done=step_done)
        results = train(data, recipe, out, options)
        if results is None:
            return None
        path = page.path or out / "report.html"
        write_page(build_report(data, results, page.title, page.note, context.device), path)
    log.done("report", str(path))
    return results, path


def results_json(results: Results, page: Path) -> dict[str, Any]:
    """The output of ``--json`` after a training."""
    return {
        "models": {
            evaluation.name: evaluation.estimates for evaluation in results.comparison.evaluations
        },
        "fusion": {
            ensemble.name: {
                "weights": ensemble.weights,
                "in_sample": ensemble.in_sample,
                "held_out": ensemble.held_out,
            }
            for ensemble in results.ensembles
        },
        "unseen": results.unseen,
        "seconds": results.seconds,
        "run": str(results.folder.path),
        "report": str(page),
    }


def _show_plan(data: PreparedData, recipe: Recipe, stages: list[str], args: Any) -> None:
    from shopsight.inference.device import choose_device
    from shopsight.training.dry_run import make_plan

    plan = make_plan(data, recipe, stages, Path(args.out), choose_device(args.device))
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
