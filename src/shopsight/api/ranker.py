"""The trained run folder as a ranker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopsight.api.data import as_data
from shopsight.api.runs import Run
from shopsight.api.search import Index
from shopsight.api.settings import build_settings, takes
from shopsight.config import IndexConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import OutputError, UsageError
from shopsight.formats.atomic import atomic_write
from shopsight.formats.outputs import check_output_file
from shopsight.inference.ensemble import ENSEMBLE
from shopsight.inference.run_folder import RunFolder
from shopsight.models.registry import RETRIEVAL
from shopsight.tables import Grid, Tabular
from shopsight.types import Progress, no_progress

if TYPE_CHECKING:
    from shopsight.inference.captioner import Captioner, Description
    from shopsight.inference.evaluate import TrainingResults

REPORT, SUMMARY = "report.html", "summary.json"
_BATCH = 512
Data = PreparedData | str | Path


class Descriptions(tuple["Description", ...], Tabular):
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


class Ranker:
    """A trained run folder: ranks, encodes, describes and indexes products.

    Weights are loaded when a method first needs them. ``results`` are those of the training that
    returned this ranker; None if it was opened.

    Args:
        folder: the run folder.
        device: auto, cpu, cuda or mps, or a torch device.

    Attributes:
        models: names of the trained models.
        ensembles: fitted ensembles by name.
    """

    results: TrainingResults | None = None

    def __init__(self, folder: RunFolder, device: Any = "auto") -> None:
        # Torch is loaded here, and not by what only reads this module: help, wrong arguments.
        from shopsight.device import choose_device
        from shopsight.inference import ranker

        device = choose_device(device) if isinstance(device, str) else device
        self.folder, self._trained = folder, ranker.Ranker(folder, device)
        self.models, self.ensembles = self._trained.models, self._trained.ensembles

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

    def rank(self, data: Data, split: str, model: str = ENSEMBLE) -> Run:
        """Rank a split's candidates with a trained model, or with the ensemble.

        Args:
            split: split to rank; it has candidate pools.
            model: ensemble (or the only model if just one was trained), word+sentence, or a model.

        Raises:
            UsageError: an unknown model.
            DataError: an unknown split.
        """
        name = self._trained.default if model == ENSEMBLE else model
        return Run.of(self._trained.rank(as_data(data), split, name))

    def encode_queries(self, queries: Sequence[str], model: str = RETRIEVAL) -> NDArray[np.float32]:
        """(Q, D) float32 unit vectors of queries. Raises UsageError if the model has none."""
        return self._trained.encode_queries(queries, model)

    def encode_products(
        self, data: Data, product_ids: Sequence[str] | None = None, model: str = RETRIEVAL
    ) -> NDArray[np.float32]:
        """(P, D) float32 unit vectors of products (default: all, in the order of the data).

        Raises:
            UsageError: the model has no vectors.
            DataError: an unknown product id.
        """
        data = as_data(data)
        ids = data.products if product_ids is None else product_ids
        return self._trained.encode_products(data, ids, model)

    def describe(
        self,
        data: Data,
        product_ids: Sequence[str],
        tags: int = 6,
        beam: int = 5,
        depth: int = 15,
    ) -> Descriptions:
        """Describe product photos with the label-match model.

        Each product gets tags with their probabilities, and captions by beam search.

        Args:
            product_ids: product ids.
            tags: maximum number of tags per product.
            beam: beam width; 1 is greedy search.
            depth: maximum number of tokens of a caption.

        Raises:
            UsageError: label-match was not trained.
            DataError: an unknown product id.
        """
        if min(tags, beam, depth) < 1:
            raise UsageError("--tags, --beam and --depth must be at least 1")
        return Descriptions(self._captioner(data).describe(product_ids, tags, beam, depth))

    def tag(
        self,
        data: Data,
        out: str | Path,
        tags: int = 8,
        beam: int = 3,
        max_tokens: int = 15,
        progress: Progress = no_progress,
    ) -> int:
        """Write tags and a caption for every product, for catalogues with poor titles.

        One JSON object per line: {"product_id", "tags": [[word, probability], ...], "caption",
        "log_probability"}.

        Args:
            out: JSON Lines file to write.
            tags: maximum number of tags per product.
            beam: beam width; 1 is greedy search.
            max_tokens: maximum number of tokens of a caption.

        Returns:
            The number of products.
        """
        if min(tags, beam, max_tokens) < 1:
            raise UsageError("--tags, --beam and --max-tokens must be at least 1")
        check_output_file(out)
        data = as_data(data)
        captioner, ids = self._captioner(data), data.products
        with atomic_write(out) as file:
            for start in range(0, len(ids), _BATCH):
                batch = ids[start : start + _BATCH]
                for product in captioner.describe(batch, tags, beam, max_tokens):
                    file.write(json.dumps(_tag_row(product), ensure_ascii=False) + "\n")
                progress("tag", start + len(batch), len(ids))
        return len(ids)

    @takes(IndexConfig)
    def build_index(
        self, data: Data, out: str | Path, progress: Progress = no_progress, **settings: Any
    ) -> Index:
        """Build an index of prepared products with the models of a run.

        The index folder is self-contained. An interrupted call resumes when repeated.

        Args:
            out: index folder to create.
            settings: fields of `IndexConfig`.

        Raises:
            UsageError: the dual encoder was not trained, or faiss is not installed.
            OutputError: ``out`` exists or cannot be written.
        """
        from shopsight.search.index import build_index

        (config,) = build_settings(settings, IndexConfig)
        build_index(self.folder, as_data(data), out, config, progress)
        return Index(out)

    def _captioner(self, data: Data) -> Captioner:
        from shopsight.inference.captioner import Captioner

        return Captioner(self.folder, as_data(data), self._trained.device)

    def __repr__(self) -> str:
        return f"Ranker({str(self.path)!r}: {', '.join([*self.models, *self.ensembles])})"


def open_ranker(path: str | Path, device: str = "auto") -> Ranker:
    """Open the run folder that `train` wrote.

    Args:
        path: run folder of `shopsight train`.
        device: auto, cpu, cuda or mps.

    Raises:
        DataError: the folder is not a run folder, or is damaged.
    """
    return Ranker(RunFolder.read(path), device)


def _tag_row(product: Description) -> dict[str, Any]:
    caption, log_probability = product.captions[0] if product.captions else ("", 0.0)
    return {
        "product_id": product.product_id,
        "tags": [[word, round(probability, 4)] for word, probability in product.tags],
        "caption": caption,
        "log_probability": round(log_probability, 4),
    }
