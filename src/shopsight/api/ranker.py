"""The trained run folder as a ranker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopsight.api.data import as_data
from shopsight.api.runs import Run
from shopsight.api.search import Index
from shopsight.api.settings import build_settings
from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.device import choose_device
from shopsight.errors import OutputError, UsageError
from shopsight.inference import ranker
from shopsight.inference.captioner import Captioner, Description
from shopsight.inference.ensemble import ENSEMBLE
from shopsight.inference.evaluate import TrainingResults
from shopsight.inference.run_folder import RunFolder
from shopsight.models.registry import RETRIEVAL
from shopsight.search.index import build_index
from shopsight.tables import Grid, Tabular
from shopsight.types import Progress, no_progress

REPORT = "report.html"


class Descriptions(tuple[Description, ...], Tabular):
    """Tags and captions of products."""

    def grids(self) -> list[Grid]:
        """A row per product: tags with probabilities, and the best caption."""
        rows = tuple(
            (
                product.product_id,
                ", ".join(f"{word} {probability:.2f}" for word, probability in product.tags),
                product.captions[0][0] if product.captions else "",
            )
            for product in self
        )
        return [Grid(("product", "tags", "caption"), rows)]

    def to_dict(self) -> dict[str, Any]:
        """``{product id: {"tags": {word: probability}, "captions": {text: log probability}}}``."""
        return {
            product.product_id: {"tags": dict(product.tags), "captions": dict(product.captions)}
            for product in self
        }

    def __repr__(self) -> str:
        return f"Descriptions({len(self)} products)"


class Ranker(ranker.Ranker):
    """A trained run folder: ranks, encodes, describes and indexes products.

    Weights are loaded when a method first needs them. ``results`` are those of the training that
    returned this ranker; None if it was opened.
    """

    results: TrainingResults | None = None

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def report(self) -> Path:
        """The HTML report of the training. Raises OutputError if there is none."""
        path = self.path / REPORT
        if not path.is_file():
            raise OutputError(f"{path}: not found; the run was trained without a report")
        return path

    def rank(
        self, data: PreparedData | str | Path, split: str, model: str | None = ENSEMBLE
    ) -> Run:
        """Rank the candidates of a split.

        Args:
            data: prepared data.
            split: a split with candidate pools.
            model: a model or ensemble; "ensemble" is the only model if just one was trained.

        Raises:
            UsageError: an unknown model.
            DataError: an unknown split.
        """
        name = self.default if model == ENSEMBLE else model
        return Run.of(super().rank(as_data(data), split, name))

    def encode_products(
        self,
        data: PreparedData | str | Path,
        product_ids: Sequence[str] | None = None,
        model: str = RETRIEVAL,
    ) -> NDArray[np.float32]:
        """(P, D) float32 unit vectors of products (default: all, in the order of the data).

        Raises:
            UsageError: the model has no vectors.
            DataError: an unknown product id.
        """
        data = as_data(data)
        return super().encode_products(
            data, data.products if product_ids is None else product_ids, model
        )

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
        captioner = Captioner(self.folder, as_data(data), self.device)
        return Descriptions(captioner.describe(product_ids, tags, beam, depth))

    def build_index(
        self,
        data: PreparedData | str | Path,
        out: str | Path,
        progress: Progress = no_progress,
        **settings: Any,
    ) -> Index:
        """Index the products of prepared data for search; an interrupted call resumes.

        Args:
            data: prepared data.
            out: the index folder to write.
            progress: callback.
            settings: fields of `IndexConfig`.

        Raises:
            UsageError: the dual encoder was not trained, or faiss is not installed.
            OutputError: ``out`` exists or cannot be written.
        """
        (config,) = build_settings(settings, IndexConfig)
        build_index(self.folder, as_data(data), out, config, progress)
        return Index(out)

    def __repr__(self) -> str:
        return f"Ranker({str(self.path)!r}: {', '.join([*self.models, *self.ensembles])})"


def open_ranker(path: str | Path, device: str = "auto") -> Ranker:
    """Open the run folder that `train` wrote.

    Args:
        path: the folder.
        device: auto, cpu, cuda or mps.

    Raises:
        DataError: the folder is not a run folder, or is damaged.
    """
    return Ranker(RunFolder.read(path), choose_device(device))
