"""A training session: data, run folder, processes and callbacks, which its stages share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from shopsight.batches.candidates import ScoredCandidates
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.batches.loader import RegionReader
from shopsight.data.dataset import PreparedData
from shopsight.data.split_names import VALID
from shopsight.errors import UsageError
from shopsight.inference.encode import rank_split
from shopsight.inference.evaluate import HEADLINE, StepDone, no_progress
from shopsight.inference.ranker import Ranker
from shopsight.inference.run_folder import RunFolder
from shopsight.inference.timings import Timings
from shopsight.inference.trunk_cache import TrunkCache, trunk_key
from shopsight.metrics.evaluate import Evaluator
from shopsight.models.registry import model_spec
from shopsight.negatives.groups import query_groups
from shopsight.text.vocabulary import Vocabulary
from shopsight.training.callbacks import Callback
from shopsight.training.distributed import DistributedContext
from shopsight.training.factory import make_loader, make_task, stage_seed
from shopsight.training.loop import Phase, fit
from shopsight.training.state import StageResult
from shopsight.training.tasks.base import Task
from shopsight.training.teacher import Teacher
from shopsight.types import Pools


@dataclass(frozen=True, eq=False)
class TrainingSession:
    """Everything that the stages of a training share; what is read from disk is read once."""

    data: PreparedData
    folder: RunFolder
    context: DistributedContext = field(default_factory=DistributedContext)
    callback: Callback = field(default_factory=Callback)
    step_done: StepDone = no_progress

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of all models."""
        return self.folder.vocabulary()

    @cached_property
    def pairs(self) -> ClickedPairs:
        """The clicked pairs with their query groups, which the first process builds."""
        recipe, own = self.folder.recipe, self.folder.path / "negatives"
        if self.context.main:
            with Timings(self.folder.path).measure("negatives"):
                groups = query_groups(self.data, recipe.negatives, recipe.seed, own)
            counts = groups.manifest
            self.step_done(
                "negatives",
                f"{counts['texts']:,} distinct queries in {counts['last_words']:,} last-word"
                f" groups and {counts['clusters']:,} clusters",
            )
        self.context.barrier()
        groups = query_groups(self.data, recipe.negatives, recipe.seed, own)
        return ClickedPairs.of(self.data, self.vocabulary, groups)

    @cached_property
    def _valid(self) -> tuple[Evaluator, Pools]:
        """Metrics on the validation split, and its candidates."""
        return Evaluator(self.data.qrels(VALID)), self.data.pools(VALID)

    def validate(self, model: Any, source: RegionReader) -> float:
        """The headline metric of a model, in evaluation mode, on the validation split."""
        (evaluator, pools), device = self._valid, self.context.device
        run = rank_split(
            model, self.data, self.vocabulary, VALID, pools=pools, source=source, device=device
        )
        return float(evaluator.per_query(run, HEADLINE).mean())

    def train_stage(self, stage: str) -> StageResult:
        """Train a stage, or resume it where it was interrupted, to ``folder.stage(stage).best``.

        Raises:
            UsageError: the stage starts from another that was not trained; see `make_task`.
            TrainingError: see `fit`.
        """
        if finished := self.folder.stage(stage).done():
            return StageResult(**finished)
        pairs = self.pairs  # grouping queries is a step of its own, with a time of its own
        if not self.context.main:
            return self._train(stage, pairs)
        with Timings(self.folder.path).measure(stage, resumed=True):
            result = self._train(stage, pairs)
        self.step_done(stage, _summary(result))
        return result

    def _train(self, stage: str, pairs: ClickedPairs) -> StageResult:
        recipe, folder = self.folder.recipe, self.folder.stage(stage)
        context, store = self.context, self.data.store
        for needed in recipe.model(stage).starts_from:
            if self.folder.stage(needed).done() is None:
                raise UsageError(
                    f"{stage} starts from the weights of {needed}; train the stage {needed} too"
                )

        def weights_of(name: str) -> Path:
            return self.folder.stage(name).best

        task = make_task(
            stage, recipe, self.vocabulary, pairs, store, weights_of=weights_of, context=context
        )
        source, learned = self._region_source(stage, task), self._candidates(stage) or pairs
        configs = recipe.model(stage).phases
        for number, config in enumerate(configs, start=1):
            last = number == len(configs)
            # Each phase ends with its best weights in the task, from which the next one starts.
            result = fit(
                Phase(
                    task,
                    make_loader(task, stage, recipe, learned, source, context, number),
                    config,
                    folder if last else folder.phase(number),
                    seed=stage_seed(recipe, stage, f"dropout {number}"),
                    validate=lambda task: self.validate(task.model, source),
                    # Without an epoch, this score is the only one.
                    validate_first=number > 1 or not config.epochs,
                    callback=self.callback,
                    context=context,
                )
            )
        return result

    def _candidates(self, stage: str) -> ScoredCandidates | None:
        """The candidates that the teacher of a stage has scored, which the first process builds."""
        recipe, context = self.folder.recipe, self.context
        config = recipe.model(stage).candidates
        if config is None:
            return None
        ranker, seed = Ranker(self.folder, context.device), stage_seed(recipe, stage, "candidates")
        teacher = Teacher(ranker, self.data, self.pairs, config, seed)
        folder = self.folder.path / "cache" / f"candidates-{stage}"
        if context.main:
            teacher.build(folder, lambda text: self.callback.note(f"{stage}: {text}"))
        context.barrier()
        return teacher.load(folder)

    def _region_source(self, stage: str, task: Task) -> RegionReader:
        """The region store, or the cached outputs of the frozen trunk."""
        if not (model_spec(stage).uses_trunk and self.folder.recipe.model(stage).cache_trunk):
            return self.data.store
        encoder, context, store = task.model.encoder.eval(), self.context, self.data.store
        key = trunk_key(encoder.trunk, self.data)
        trunk, width, cache = encoder.through_trunk, encoder.trunk.width, self.folder.path / "cache"
        build = partial(TrunkCache.build, cache, store, trunk, key, context.device, width)
        if context.main:
            self.callback.note(f"{stage}: the frozen trunk over {len(store):,} products")
            build()
        # The other processes open the file that the first one has finished.
        context.barrier()
        return build()


def _summary(result: StageResult) -> str:
    best = "" if result.best is None else f"; best {HEADLINE} on {VALID} {result.best:.4f}"
    return (
        f"{result.steps:,} steps, {result.pairs_per_second:,.0f} pairs/s,"
        f" {result.wait_fraction:.0%} waiting for data{best}"
    )
