"""``shopsight train``: from prepared data to models, runs, ensemble, submission and report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopsight.cli.output import print_grid, print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.cli.step_log import StepLog
from shopsight.config import STAGES, Recipe
from shopsight.config.recipes import load_recipe, recipe_names
from shopsight.data.dataset import PreparedData
from shopsight.errors import OutputError
from shopsight.tables import Grid
from shopsight.types import Run

if TYPE_CHECKING:
    from shopsight.training.dry_run import Plan
    from shopsight.training.pipeline import Results


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight train`` with the words that follow it."""
    given = _parser().read(arguments)
    recipe = load_recipe(given.recipe, given.set)
    if given.seed is not None:
        recipe = replace(recipe, seed=given.seed)
    if given.threads:
        recipe = replace(recipe, threads=given.threads)
    stages = [stage for stage in STAGES if stage in given.stages]
    data, out = PreparedData.open(given.data), Path(given.out)
    # What does not fit is refused before torch is even imported.
    from shopsight.training.validate import check

    check(data, recipe, stages, out)
    _refuse_old(out, given)
    if given.dry_run:
        _show_plan(data, recipe, stages, given)
    else:
        _train(data, recipe, stages, given)


def _parser() -> Parser:
    parser = Parser(
        "train",
        "Train everything a recipe says, and use it: negative pools, label-match, word-match,"
        " sentence-match, dual; then rank valid with each model, fuse, evaluate, rank the other"
        " splits, and write runs, submissions and a report into one folder. A finished stage is"
        " not done again, a broken one goes on where it was. Under torchrun, several processes"
        " train together.",
        [
            "train data --recipe tiny --out run",
            "train data --recipe fashion --out run --set word_match.margin=0.5 seed=1",
            "train data --recipe mine.yaml --out run --stages label-match word-match",
            "train data --recipe fashion --out run --resume",
            "train data --recipe fashion --out other --reuse run --set word_match.hardest=false",
            "train data --recipe kddcup --out run --dry-run",
        ],
    )
    parser.add_argument("data", metavar="DATA", help="prepared folder with splits train and valid")
    names = ", ".join(recipe_names())
    parser.add_argument("--recipe", metavar="R", required=True, help=f"{names}, or a YAML file")
    parser.add_argument("--out", metavar="RUN", required=True, help="run folder")
    parser.add_argument(
        "--set", metavar="key=value", nargs="+", default=[], help="changes to the recipe"
    )
    parser.add_argument(
        "--stages", nargs="+", choices=STAGES, default=list(STAGES), help="which models to train"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an existing run folder")
    parser.add_argument(
        "--reuse",
        metavar="RUN",
        nargs="+",
        default=[],
        help="other run folders, whose finished stages are copied where all that decides them is"
        " the same",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--threads", type=int, default=0, help="processor threads; 0 takes the recipe's number"
    )
    parser.set_defaults(seed=None)
    parser.add_json()
    return parser


def _refuse_old(out: Path, given: Any) -> None:
    first = os.environ.get("RANK", "0") == "0"  # of torchrun's processes, which begins the folder
    if first and (out / "run.json").exists() and not given.resume and not given.dry_run:
        raise OutputError(f"{out}: a run is here already; go on with it by --resume, or choose"
                          " another --out")  # fmt: skip


def _train(data: PreparedData, recipe: Recipe, stages: list[str], given: Any) -> None:
    silent = given.quiet or given.json
    steps = StepLog(silent)
    reuse = [Path(one) for one in given.reuse]
    found = train_and_report(
        data, recipe, stages, Path(given.out), steps, silent, given.device, reuse=reuse
    )
    if found is None:  # not the first of several processes
        return
    results, page = found
    if given.json:
        print_json(results_json(results, page))
        return
    print()
    print_result(results.comparison)
    print(f"Report: {page.resolve()}")


def train_and_report(
    data: PreparedData,
    recipe: Recipe,
    stages: Sequence[str],
    out: Path,
    steps: StepLog,
    quiet: bool,
    device: str = "auto",
    *,
    baselines: Mapping[str, Run] | None = None,
    reuse: Sequence[Path] = (),
    title: str = "What was trained",
    note: Callable[[str], str] | None = None,
    page: Path | None = None,
) -> tuple[Results, Path] | None:
    """Train, judge, and write the page.

    Args:
        data: the prepared folder.
        recipe: all settings.
        stages: what to train.
        out: the run folder.
        steps: told what was done.
        quiet: show no live line.
        device: "auto" or a device's name.
        baselines: runs of the validation split to compare with.
        reuse: other run folders; see `train_all`.
        title: the page's heading.
        note: a few words about a product, by its id; the model's tags if left out.
        page: where the page goes; into the run folder if left out.

    Returns:
        What it came to, and the page; None in all processes but the first.
    """
    from shopsight.reports.html import write_page
    from shopsight.reports.training_report import build_report
    from shopsight.training.callbacks import ProgressLine
    from shopsight.training.distributed import init_distributed
    from shopsight.training.pipeline import no_progress, train_all

    with init_distributed(device) as world, ProgressLine(quiet or not world.main) as line:
        results = train_all(
            data,
            recipe,
            out,
            stages,
            baselines=baselines,
            reuse=reuse,
            world=world,
            progress=line,
            done=steps.done if world.main else no_progress,
        )
        if results is None:
            return None
        page = page or out / "report.html"
        write_page(build_report(data, results, title, note, world.device), page)
    steps.done("report", str(page))
    return results, page


def results_json(results: Results, page: Path) -> dict[str, Any]:
    """What ``--json`` prints of a finished training."""
    return {
        "models": {one.name: one.estimates for one in results.comparison.evaluations},
        "fusion": {
            one.name: {
                "weights": one.weights,
                "in_sample": one.in_sample,
                "held_out": one.held_out,
            }
            for one in results.ensembles
        },
        "unseen": results.unseen,
        "seconds": results.seconds,
        "run": str(results.folder.path),
        "report": str(page),
    }


def _show_plan(data: PreparedData, recipe: Recipe, stages: list[str], given: Any) -> None:
    from shopsight.training.distributed import choose_device
    from shopsight.training.dry_run import make_plan

    plan = make_plan(data, recipe, stages, Path(given.out), choose_device(given.device))
    if given.json:
        print_json(asdict(plan))
    else:
        print_grid(_plan_grid(plan))


def _plan_grid(plan: Plan) -> Grid:
    rows = [
        (
            one.stage,
            f"{one.parameters:,}",
            f"{one.trained:,}",
            f"{one.epochs}",
            f"{one.steps:,}",
            f"{one.pairs_per_second:,.0f}" if one.pairs_per_second else "–",
            "done" if one.finished else f"{one.seconds / 60:,.1f} min",
            f"{one.memory_mib:,.0f} MiB",
        )
        for one in plan.stages
    ]
    columns = ("stage", "weights", "trained", "epochs", "steps", "pairs/s", "time", "memory")
    return Grid(columns, tuple(rows), plan.note)
