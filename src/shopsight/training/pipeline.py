"""The whole way: negative pools, every stage, runs, ensemble, submissions.

What is finished is not done again: a stage that says so in its ``done.json``, a run that is newer
than its model. So the same call goes on with whatever a killed one left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.loader import RegionSource
from shopsight.config import STAGES, EvaluateConfig, NegativesConfig, Recipe
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import TRAIN, VALID
from shopsight.errors import DataError
from shopsight.formats.runs import write_run
from shopsight.formats.submission import write_submission
from shopsight.inference.encode import rank_split
from shopsight.inference.ensemble import Ensemble, fit_ensembles, save_ensembles
from shopsight.inference.ranker import Ranker
from shopsight.inference.run_folder import RunFolder
from shopsight.inference.timings import Times
from shopsight.metrics.evaluate import Evaluator
from shopsight.metrics.significance import Comparison, compare
from shopsight.negatives.groups import (
    QueryGroups,
    build_query_groups,
    load_query_groups,
    save_query_groups,
)
from shopsight.training.callbacks import Callback, NullCallback
from shopsight.training.distributed import DistributedContext
from shopsight.training.reuse import take_over
from shopsight.training.stages import train_stage
from shopsight.training.state import StageResult
from shopsight.training.validate import check
from shopsight.types import FloatArray, Pools, Run

HEADLINE = EvaluateConfig.metrics[0]
Done = Callable[[str, str], None]
"""Told that a step is over: its name, and what it came to in a sentence."""


def no_progress(name: str, sentence: str) -> None:
    """Told about steps, and does nothing with it.

    Args:
        name: of the step.
        sentence: what it came to.
    """


@dataclass(frozen=True, eq=False)
class Results:
    """What a training came to.

    Attributes:
        folder: the run folder.
        valid: every run of the validation split, by name; the last is what to use: the ensemble,
            or the only model.
        comparison: of these.
        ensembles: how the ensembles were mixed.
        unseen: the headline metric of the last run on each other split that has answers.
        seconds: by step, those of earlier calls included.
    """

    folder: RunFolder
    valid: dict[str, Run]
    comparison: Comparison
    ensembles: list[Ensemble]
    unseen: dict[str, float]
    seconds: dict[str, float]


def train_all(
    data: PreparedData,
    recipe: Recipe,
    out: Path,
    stages: Sequence[str] = STAGES,
    *,
    baselines: Mapping[str, Run] | None = None,
    reuse: Sequence[Path] = (),
    world: DistributedContext | None = None,
    progress: Callback | None = None,
    done: Done = no_progress,
) -> Results | None:
    """Train stages, then rank, fuse, compare and submit with every model that the folder holds.

    Args:
        data: the prepared folder.
        recipe: all settings.
        out: the run folder, new or of the same recipe and data.
        stages: what to train.
        baselines: runs of the validation split to compare with.
        reuse: other runs, whose finished stages are taken over where they would be the same.
        world: the processes that train together.
        progress: told about every step of training.
        done: told about every finished step.

    Returns:
        What it came to; None in all processes but the first, which ranks alone.

    Raises:
        ShopsightError: see `check`, `RunFolder.open` and `train_stage`.
    """
    world, progress = world or DistributedContext(), progress or NullCallback()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    check(data, recipe, stages, out)
    folder = _open(out, recipe, data, world, reuse, done)
    waiting = [stage for stage in stages if folder.stage(stage).done() is None]
    if waiting:
        pairs = _clicked_pairs(data, folder, world, done)
        for stage in waiting:
            _train(stage, folder, data, pairs, world, progress, done)
    if not world.main:
        return None
    return judge_all(data, Ranker(folder, data, world.device), baselines or {}, done)


def judge_all(
    data: PreparedData, ranking: Ranker, baselines: Mapping[str, Run], done: Done
) -> Results:
    """Rank the validation split with every model, fuse, compare, rank and submit the others.

    Args:
        data: the prepared folder.
        ranking: a run folder at work.
        baselines: runs of the validation split that are shown beside them.
        done: told about every finished step.
    """
    folder, qrels = ranking.folder, data.qrels(VALID)
    recipe, judge, times = folder.recipe, Evaluator(qrels), Times(folder.path)

    def values(one: Run) -> FloatArray:
        return judge.per_query(one, HEADLINE)

    with times.of(f"rank {VALID}"):
        members = {name: ranking.kept(name, VALID) for name in ranking.models}
    mean, best = max((float(values(one).mean()), name) for name, one in members.items())
    done(f"rank {VALID}", f"{len(members)} models; the best is {best}, {HEADLINE} {mean:.4f}")

    ensembles: list[Ensemble] = []
    if len(members) > 1:
        with times.of("fuse"):
            ensembles = fit_ensembles(members, values, recipe.fusion, recipe.seed)
        done("fuse", _value(ensembles[-1]))
    save_ensembles(ensembles, folder.path)

    fused = {one.name: one.fuse(members) for one in ensembles}
    random = random_run(data.pools(VALID), recipe.seed)
    valid = {random.name: random, **baselines, **members, **fused}
    with times.of("compare"):
        comparison = compare(list(valid.values()), qrels, seed=recipe.seed)
    done("compare", f"paired tests of {len(valid)} rankings")
    for one in (random, *baselines.values(), *fused.values()):
        write_run(one, folder.path / "runs" / f"{VALID}-{one.name}.json")

    unseen = {}
    for split in (one for one in data.splits if one not in (TRAIN, VALID)):
        with times.of(f"rank {split}"):
            last = _rank_unseen(data, ranking, ensembles, split)
        said = f"written: {folder.path / 'submissions' / f'{split}.csv'}"
        if data.has_qrels(split):
            unseen[split] = float(Evaluator(data.qrels(split)).per_query(last, HEADLINE).mean())
            said += f"; nothing was fitted to it: {HEADLINE} {unseen[split]:.4f}"
        done(f"rank {split}", said)
    return Results(folder, valid, comparison, ensembles, unseen, times.seconds)


def _open(
    out: Path,
    recipe: Recipe,
    data: PreparedData,
    world: DistributedContext,
    reuse: Sequence[Path],
    done: Done,
) -> RunFolder:
    """The run folder, begun by the first process only."""
    if world.main:
        others = [RunFolder.read(one) for one in reuse]
        folder = RunFolder.open(out, recipe, data)
        for other in others:
            stages = take_over(folder, other)
            Times(folder.path).take_over(Times(other.path), stages)
            done("reuse", f"{', '.join(stages) or 'nothing that is the same'} from {other.path}")
    world.barrier()
    return RunFolder.open(out, recipe, data)


def _clicked_pairs(
    data: PreparedData, folder: RunFolder, world: DistributedContext, done: Done
) -> ClickedPairs:
    """The clicked pairs with the groups of like queries, which the first process makes."""
    recipe, own = folder.recipe, folder.path / "negatives"
    if world.main:
        with Times(folder.path).of("negatives"):
            groups = query_groups(data, recipe.negatives, recipe.seed, own)
        about = groups.manifest
        done(
            "negatives",
            f"{about['texts']:,} distinct queries in {about['last_words']:,} last-word groups and"
            f" {about['clusters']:,} clusters",
        )
    world.barrier()
    groups = query_groups(data, recipe.negatives, recipe.seed, own)
    return ClickedPairs.of(data, folder.vocabulary(), groups)


def _train(
    stage: str,
    folder: RunFolder,
    data: PreparedData,
    pairs: ClickedPairs,
    world: DistributedContext,
    progress: Callback,
    done: Done,
) -> None:
    vocabulary, judge, pools = folder.vocabulary(), Evaluator(data.qrels(VALID)), data.pools(VALID)

    def score(model: Any, source: RegionSource) -> float:
        run = rank_split(
            model, data, vocabulary, VALID, pools=pools, source=source, device=world.device
        )
        return float(judge.per_query(run, HEADLINE).mean())

    def train() -> StageResult:
        return train_stage(
            stage, folder, data, pairs, vocabulary, judge=score, progress=progress, world=world
        )

    if not world.main:
        train()
        return
    with Times(folder.path).of(stage, again=True):
        outcome = train()
    best = "" if outcome.best is None else f"; best {HEADLINE} on {VALID} {outcome.best:.4f}"
    speed, waited = outcome.pairs_per_second, outcome.wait_fraction
    done(
        stage,
        f"{outcome.steps:,} steps, {speed:,.0f} pairs/s, {waited:.0%} waiting for data{best}",
    )


def _value(ensemble: Ensemble) -> str:
    weights = " + ".join(f"{share:.2f} {name}" for name, share in ensemble.weights.items() if share)
    return f"{weights}: {ensemble.in_sample:.4f}, and {ensemble.held_out:.4f} on held-out queries"


def _rank_unseen(
    data: PreparedData, ranking: Ranker, ensembles: Sequence[Ensemble], split: str
) -> Run:
    """Rank a split with everything; returns the run of the ensemble, or of the only model."""
    folder = ranking.folder.path
    runs = {name: ranking.kept(name, split) for name in ranking.models}
    for one in ensembles:
        runs[one.name] = one.fuse(runs)
        write_run(runs[one.name], folder / "runs" / f"{split}-{one.name}.json")
    last = list(runs.values())[-1]
    (folder / "submissions").mkdir(exist_ok=True)
    write_submission(last, folder / "submissions" / f"{split}.csv", data.pools(split))
    return last


def random_run(pools: Pools, seed: int) -> Run:
    """The candidates in random order: what no model may fall behind."""
    return Run(pools, np.random.default_rng(seed).random(len(pools.product_ids)), "random")


def query_groups(data: PreparedData, config: NegativesConfig, seed: int, own: Path) -> QueryGroups:
    """The groups of like queries: those of the prepared folder if they fit, else new ones.

    Args:
        data: the prepared folder.
        config: how queries are grouped; how negatives are drawn from them may differ.
        seed: of the clusters.
        own: where new groups are kept.
    """
    texts = data.queries(TRAIN).texts
    for folder in (own, data.path / "negatives"):
        try:
            groups = load_query_groups(folder, texts)
        except DataError:
            continue
        wanted = {**asdict(config), **_DRAWING}
        built = groups.manifest
        if {**built["settings"], **_DRAWING} == wanted and built["seed"] == seed:
            return groups
    groups = build_query_groups(texts, config, seed)
    save_query_groups(groups, own)
    return groups


# settings of the drawing, which the groups do not depend on
_DRAWING = dict.fromkeys(("last_word_fraction", "tries"), 0)
