"""Training, and the trained run folder as a ranker."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopsight import types
from shopsight.api.data import as_data
from shopsight.api.runs import Run
from shopsight.api.settings import build_settings
from shopsight.config import IndexConfig, Recipe
from shopsight.config.recipes import load_recipe
from shopsight.data.dataset import PreparedData
from shopsight.errors import OutputError, UsageError
from shopsight.inference.run_folder import RUN_FILE, RunFolder
from shopsight.models.registry import RETRIEVAL, model_names
from shopsight.tables import Grid, Tabular

if TYPE_CHECKING:
    from shopsight.api.search import Index
    from shopsight.inference.captioner import Description
    from shopsight.inference.evaluate import Results
    from shopsight.inference.ranker import Ranker as InferenceRanker

Embeddings = NDArray[np.float32]
ENSEMBLE, REPORT = "ensemble", "report.html"


@dataclass(frozen=True, repr=False)
class Descriptions(Tabular):
    """Tags and captions of products."""

    products: tuple[Description, ...]

    def grids(self) -> list[Grid]:
        """One row per product: tags with probabilities, and the best caption."""
        rows = tuple((row["product"], row["tags"], row["caption"]) for row in self.records())
        return [Grid(("product", "tags", "caption"), rows)]

    def records(self) -> list[dict[str, Any]]:
        """One row per product: product, tags, caption."""
        return [
            {
                "product": product.product_id,
                "tags": ", ".join(
                    f"{word} {probability:.2f}" for word, probability in product.tags
                ),
                "caption": product.captions[0][0] if product.captions else "",
            }
            for product in self.products
        ]

    def to_dict(self) -> dict[str, Any]:
        """``{product id: {"tags": {word: probability}, "captions": {text: log probability}}}``."""
        return {
            product.product_id: {"tags": dict(product.tags), "captions": dict(product.captions)}
            for product in self.products
        }

    def __repr__(self) -> str:
        return f"Descriptions({len(self.products)} products)"


@dataclass(frozen=True)
class TrainArguments:
    """Options of `train` beside the recipe.

    Args:
        device: auto, cpu, cuda or mps.
        seed: default: the recipe's.
        threads: CPU threads; 0 takes the recipe's number.
        reuse: run folders whose finished stages are copied if nothing that determines them differs.
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
    log: Callable[[str, str], None] = lambda name, summary: None  # noqa: ARG005

    def recipe(self, name: str | Path, changes: Sequence[str]) -> Recipe:
        """The recipe of a name or file with changes, seed and threads applied."""
        recipe = load_recipe(str(name), list(changes))
        if self.seed is not None:
            recipe = replace(recipe, seed=self.seed)
        return replace(recipe, threads=self.threads) if self.threads else recipe


class Ranker:
    """A trained run folder: ranks, encodes, describes and indexes products.

    Weights are loaded when a method first needs them.

    Attributes:
        results: the results of the training that returned this ranker, else None.
    """

    def __init__(
        self, folder: RunFolder, device: str = "auto", results: Results | None = None
    ) -> None:
        self.folder, self.results, self._device_name = folder, results, device

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @cached_property
    def models(self) -> list[str]:
        """The trained models and fitted ensembles."""
        from shopsight.inference.ensemble import load_ensembles
        from shopsight.inference.load import trained_models

        ensembles = [ensemble.name for ensemble in load_ensembles(self.path)]
        return [*trained_models(self.folder), *ensembles]

    @property
    def report(self) -> Path:
        """The HTML report of the training. Raises OutputError if there is none."""
        path = self.path / REPORT
        if not path.is_file():
            raise OutputError(f"{path}: not there; the run was trained without a report")
        return path

    def rank(self, data: PreparedData | str | Path, split: str, model: str = ENSEMBLE) -> Run:
        """Rank the candidates of a split.

        Args:
            data: prepared data.
            split: a split with candidate pools.
            model: a name in `models`; "ensemble" is the only model if just one was trained.

        Raises:
            UsageError: an unknown model.
            DataError: an unknown split.
        """
        name = self._ranker.default if model == ENSEMBLE else model
        return Run.of(self._ranker.rank(as_data(data), split, name))

    def encode_queries(self, queries: Sequence[str], model: str = RETRIEVAL) -> Embeddings:
        """(Q, D) float32 unit vectors of query texts.

        Raises:
            UsageError: a model that was not trained, or that has no single vector per query.
        """
        return self._ranker.encode_queries(list(queries), model)

    def encode_products(
        self,
        data: PreparedData | str | Path,
        product_ids: Sequence[str] | None = None,
        model: str = RETRIEVAL,
    ) -> Embeddings:
        """(P, D) float32 unit vectors of products (default: all, in the order of the data).

        Raises:
            UsageError: see `encode_queries`.
            DataError: an unknown product id.
        """
        data = as_data(data)
        ids = data.store.product_ids if product_ids is None else list(product_ids)
        return self._ranker.encode_products(data, ids, model)

    def describe(
        self,
        data: PreparedData | str | Path,
        product_ids: Sequence[str],
        tags: int = 6,
        beam: int = 5,
        depth: int = 15,
    ) -> Descriptions:
        """Tags with probabilities, and captions by beam search.

        Args:
            data: prepared data.
            product_ids: the products.
            tags: number of tags per product.
            beam: beam width; 1 is greedy search.
            depth: maximum number of tokens of a caption.

        Raises:
            UsageError: label-match was not trained.
            DataError: an unknown product id.
        """
        if min(tags, beam, depth) < 1:
            raise UsageError("--tags, --beam and --depth must be at least 1")
        products = self._ranker.describe(as_data(data), product_ids, tags, beam, depth)
        return Descriptions(tuple(products))

    def build_index(
        self, data: PreparedData | str | Path, out: str | Path, **settings: Any
    ) -> Index:
        """Index the products of prepared data for search; an interrupted call resumes.

        Args:
            data: prepared data.
            out: the index folder to write.
            settings: fields of `IndexConfig`.

        Raises:
            UsageError: the dual encoder was not trained, or faiss is not installed.
            OutputError: ``out`` exists or cannot be written.
        """
        from shopsight.api.search import Index
        from shopsight.search.index import build_index

        (config,) = build_settings(settings, IndexConfig)
        build_index(self.folder, as_data(data), out, config)
        return Index(out)

    def __repr__(self) -> str:
        return f"Ranker({str(self.path)!r}: {', '.join(self.models)})"

    @cached_property
    def _ranker(self) -> InferenceRanker:
        from shopsight.inference.device import choose_device
        from shopsight.inference.ranker import Ranker as InferenceRanker

        return InferenceRanker(self.folder, choose_device(self._device_name))


def open_ranker(path: str | Path, device: str = "auto") -> Ranker:
    """Open a trained run folder.

    Args:
        path: the folder that `train` wrote.
        device: auto, cpu, cuda or mps.

    Raises:
        DataError: the folder is not a run folder, or is damaged.
    """
    return Ranker(RunFolder.read(path), device)


def train(
    data: PreparedData | str | Path,
    recipe: str | Path,
    out: str | Path,
    set: Sequence[str] = (),
    stages: Sequence[str] | None = None,
    resume: bool = False,
    **options: Any,
) -> Ranker:
    """Train the models of a recipe, rank, fuse and write runs, submissions and a report.

    Under torchrun, several processes train together; ``results`` is None in all but the first.

    Args:
        data: prepared data with splits train and valid.
        recipe: a recipe's name, or a YAML file.
        out: the run folder to write.
        set: changes to the recipe, such as ``["word_match.margin=0.5"]``.
        stages: the models to train; all if left out.
        resume: continue an existing run folder.
        options: fields of `TrainArguments`.

    Raises:
        UsageError: an invalid recipe or option.
        DataError: data that do not suit the recipe.
        OutputError: ``out`` exists and ``resume`` is false, or it cannot be written.
    """
    (args,) = build_settings(options, TrainArguments)
    data, out, plan = as_data(data), Path(out), args.recipe(recipe, set)
    stages = [name for name in model_names() if stages is None or name in stages]
    # Importing torch takes seconds: a mistake is reported before that.
    from shopsight.training.validate import check

    check(data, plan, stages, out)
    # Under torchrun only the first process creates the folder; the others may see it already.
    first = os.environ.get("RANK", "0") == "0"
    if first and (out / RUN_FILE).exists() and not resume:
        raise OutputError(f"{out}: contains a run already; add --resume, or choose another --out")

    from shopsight.inference.evaluate import no_progress
    from shopsight.reports.html import write_page
    from shopsight.reports.training_report import build_report
    from shopsight.training.callbacks import ProgressLine
    from shopsight.training.distributed import init_distributed
    from shopsight.training.pipeline import TrainOptions
    from shopsight.training.pipeline import train as train_models

    reuse = [Path(run) for run in args.reuse]
    with (
        init_distributed(args.device) as context,
        ProgressLine(args.quiet or not context.main) as line,
    ):
        step_done = args.log if context.main else no_progress
        pipeline = TrainOptions(stages, args.baselines, reuse, context, line, step_done)
        results = train_models(data, plan, out, pipeline)
        if results is not None:
            report = Path(args.report or out / REPORT)
            write_page(build_report(data, results, args.title, args.note, context.device), report)
            args.log("report", str(report))
    return Ranker(RunFolder.read(out), args.device, results)
