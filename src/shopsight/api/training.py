"""Training of all models of a recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shopsight import types
from shopsight.api.data import as_data
from shopsight.api.settings import build_settings
from shopsight.config import Recipe
from shopsight.config.recipes import load_recipe
from shopsight.data.dataset import PreparedData
from shopsight.errors import OutputError, unknown_name
from shopsight.formats.atomic import write_json
from shopsight.formats.outputs import check_output_file
from shopsight.inference.run_folder import RUN_FILE, RunFolder
from shopsight.models.registry import default_models, load_installed, model_names

if TYPE_CHECKING:
    from shopsight.api.ranker import Ranker
    from shopsight.training.dry_run import Plan


@dataclass(frozen=True)
class TrainArguments:
    """Options of `train` beside the recipe.

    Args:
        device: auto, cpu, cuda or mps.
        seed: default: the recipe's.
        threads: processor threads; 0 uses the recipe's number.
        reuse: other run folders, whose finished stages are copied if all settings that decide them
            are the same.
        baselines: runs of the validation split to compare with, by name.
        title: heading of the report.
        note: returns a short description of a product id for the report; default: the product's
            title or predicted tags.
        report: file of the report; default: ``report.html`` in the run folder.
        quiet: show no progress line.
        log: called with the name and a one-line summary of each finished step.
    """

    device: str = "auto"
    seed: int | None = None
    threads: int = 0
    reuse: tuple[str | Path, ...] = ()
    baselines: Mapping[str, types.Run] = field(default_factory=dict)
    title: str = "Training report"
    note: Callable[[str], str] | None = None
    report: str | Path | None = None
    quiet: bool = True
    log: Callable[[str, str], None] | None = None

    def recipe(self, name: str | Path, changes: Sequence[str]) -> Recipe:
        """The recipe of a name or file with changes, seed and threads applied."""
        load_installed()
        recipe = load_recipe(str(name), list(changes))
        if self.seed is not None:
            recipe = replace(recipe, seed=self.seed)
        return replace(recipe, threads=self.threads) if self.threads else recipe


def train(
    data: PreparedData | str | Path,
    recipe: str | Path,
    out: str | Path,
    set: Sequence[str] = (),
    stages: Sequence[str] | None = None,
    resume: bool = False,
    **options: Any,
) -> Ranker:
    """Train the models of a recipe and rank with them.

    Group queries for negatives and train; then rank valid with each model, fuse, evaluate, rank
    the other splits, and write runs, submissions and a report into one folder. Finished stages are
    kept, interrupted ones resume. Under torchrun, several processes train together.

    Args:
        data: prepared folder with splits train and valid; in Python also prepared data.
        recipe: name of a recipe, or a YAML file.
        out: run folder.
        set: changes to the recipe, such as word_match.margin=0.5.
        stages: models to train; by default those of the recipe that suit the data.
        resume: resume an existing run folder.
        options: fields of `TrainArguments`.

    Returns:
        The ranker. Its ``results`` are None in all processes but the first.

    Raises:
        UsageError: an invalid recipe or option.
        DataError: data that do not suit the recipe.
        OutputError: ``out`` exists and ``resume`` is false, or it cannot be written.
    """
    (args,) = build_settings(options, TrainArguments)
    # Under torchrun only the first process creates the folder; the others may see it already.
    if _is_first() and (Path(out) / RUN_FILE).exists() and not resume:
        raise OutputError(f"{out}: contains a run already; add --resume, or choose another --out")
    data, out, settings, stages, notes = _checked(args, data, out, recipe, set, stages)

    from shopsight.api.ranker import REPORT, SUMMARY, Ranker
    from shopsight.inference.evaluate import no_progress
    from shopsight.reports.html import write_page
    from shopsight.reports.training_report import build_report, report_summary
    from shopsight.training.callbacks import ProgressLine
    from shopsight.training.distributed import init_distributed
    from shopsight.training.pipeline import TrainOptions
    from shopsight.training.pipeline import train as train_models

    reuse = [Path(run) for run in args.reuse]
    with (
        init_distributed(args.device) as context,
        ProgressLine(args.quiet or not context.main) as line,
    ):
        step_done = (args.log if context.main else None) or no_progress
        for note in notes:
            step_done("check", note)
        pipeline = TrainOptions(stages, args.baselines, reuse, context, line, step_done)
        results = train_models(data, settings, out, pipeline)
        if results is not None:
            report = Path(args.report or out / REPORT)
            content = build_report(data, results, args.title, args.note, context.device)
            write_page(content, report)
            write_json(out / SUMMARY, report_summary(content))
            step_done("report", str(report))
    ranker = Ranker(RunFolder.read(out), context.device)
    ranker.results = results
    return ranker


def plan(
    data: PreparedData | str | Path,
    recipe: str | Path,
    out: str | Path,
    set: Sequence[str] = (),
    stages: Sequence[str] | None = None,
    **options: Any,
) -> Plan:
    """Estimate the steps, time and memory of a training; arguments and errors as in `train`."""
    (args,) = build_settings(options, TrainArguments)
    checked = _checked(args, data, out, recipe, set, stages)
    from shopsight.device import choose_device
    from shopsight.training.dry_run import make_plan

    data, out, settings, stages, notes = checked
    made = make_plan(data, settings, stages, out, choose_device(args.device))
    return replace(made, note=". ".join([*notes, made.note]))


class _Checked(NamedTuple):
    data: PreparedData
    out: Path
    recipe: Recipe
    stages: list[str]
    notes: list[str]


def _checked(
    args: TrainArguments,
    data: PreparedData | str | Path,
    out: str | Path,
    recipe: str | Path,
    set: Sequence[str],
    stages: Sequence[str] | None,
) -> _Checked:
    """The arguments of a training, opened and checked against each other."""
    # Importing torch takes seconds: a mistake is reported before that.
    from shopsight.training.validate import check

    for name in stages or ():
        if name not in model_names():
            raise unknown_name("stage", name, list(model_names()))
    opened, settings, folder = as_data(data), args.recipe(recipe, set), Path(out)
    known = default_models(settings, opened.path) if stages is None else stages
    names = [name for name in model_names() if name in known]
    if _is_first():
        RunFolder.existing(folder, settings, opened)
        if args.report:
            check_output_file(args.report)
        for path in args.reuse:
            RunFolder.read(path).check_same_data(opened)
    notes = check(opened, settings, names, folder)
    return _Checked(opened, folder, settings, names, notes)


def _is_first() -> bool:
    """Whether this is the only process, or the first of torchrun's."""
    return os.environ.get("RANK", "0") == "0"
