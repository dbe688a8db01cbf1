"""The models that shopsight trains, ranks and indexes with: one `ModelSpec` each.

Classes are named by their import path and loaded on first use: the command line lists models
without importing torch, and the training task of a model lies in a layer above this one.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopsight.config import (
    CrossConfig,
    DualConfig,
    LabelMatchConfig,
    PhotoLabelConfig,
    Recipe,
    SentenceMatchConfig,
    StudentConfig,
    WordHeadConfig,
    WordMatchConfig,
)
from shopsight.config.model import ModelConfig
from shopsight.config.recipe import EXTRA_MODELS
from shopsight.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from torch import Tensor

    from shopsight.models.word_vectors import WordVectors
    from shopsight.text.vocabulary import Vocabulary


log = logging.getLogger("shopsight")
ENTRY_POINTS = "shopsight.models"


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """Everything that the data and the recipe contribute to a network.

    Attributes:
        words: the recipe's word vectors; of a saved network, empty ones of the saved size.
        counts: (V,) distinct training queries that hold each token; None for a saved network.
        folder: the prepared folder; None for a saved network.
        shapes: the shape of every saved weight by name; empty for a new network.
    """

    recipe: Recipe
    feature_width: int
    vocabulary: Vocabulary
    words: WordVectors
    counts: Tensor | None = None
    folder: Path | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelSpec:
    """Description of a model.

    Args:
        name: of the stage, the model and its run, such as ``label-match``.
        config: the class of its settings.
        network: the `RankingModel`, or its path "module:Class"; ``network.build(config, inputs)``
            makes one from `ModelInputs`.
        task: the `shopsight.training.tasks.base.Task` that trains it, or its path.
        encodings: the `Encodings` of products, which an index stores, or its path.
        description: a few words for reports.
        uses_trunk: ``network.encoder`` is an `ImageEncoder`, whose trunk several models can share.
        explains: the network has the methods of `shopsight.models.base.Explainable`.
        shortlist_by: the model whose best candidates are scored where ``config.depth`` is set.
        published: member of the reference's own ensemble.
        needs: a file of the prepared folder, which not every one has; without it the model is left
            out unless it is named.
        optional: trained only where the recipe or ``--stages`` names it.
        imitates: it learns the scores of other models, so that no ensemble has it as a member.
        seed_key: name of its random streams; its own name if empty.
    """

    name: str
    config: type[ModelConfig]
    network: type | str
    task: type | str
    encodings: type | str
    description: str
    uses_trunk: bool = False
    explains: bool = False
    shortlist_by: str = ""
    published: bool = False
    needs: str = ""
    optional: bool = False
    imitates: bool = False
    seed_key: str = ""

    @property
    def network_class(self) -> Any:
        """The class of the network."""
        return _load(self.network)

    @property
    def task_class(self) -> Any:
        """The class of the training task."""
        return _load(self.task)

    @property
    def encodings_class(self) -> Any:
        """The class of the encodings of products."""
        return _load(self.encodings)


def register(spec: ModelSpec) -> None:
    """Add a model; its settings are ``recipe.models[name]``, ``models.NAME.key`` in files.

    Raises:
        UsageError: the name is taken by another model.
    """
    if _SPECS.setdefault(spec.name, spec) != spec:
        raise UsageError(f"a model named '{spec.name}' is registered already")
    EXTRA_MODELS[spec.name] = spec.config


@cache
def load_installed() -> None:
    """Register the models that installed packages offer as entry points, once.

    Entry points of the group ``shopsight.models`` name a `ModelSpec`. One that cannot be loaded is
    left out with a warning, since most commands do without it.
    """
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            spec = entry.load()
            if not isinstance(spec, ModelSpec):
                raise UsageError("it is not a ModelSpec")
            register(spec)
        except Exception as error:  # anything can happen in a foreign module
            log.warning("the installed model '%s' (%s): %s", entry.name, entry.value, error)


def model_spec(name: str) -> ModelSpec:
    """A model by name. Raises UsageError, with the nearest name, if there is none."""
    load_installed()
    if name not in _SPECS:
        raise unknown_name("model", name, list(_SPECS))
    return _SPECS[name]


def model_specs() -> tuple[ModelSpec, ...]:
    """All models, in the order in which they are trained."""
    load_installed()
    return tuple(_SPECS.values())


def model_names() -> tuple[str, ...]:
    """The names of all models, in the order in which they are trained."""
    load_installed()
    return tuple(_SPECS)


def default_models(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """The models of a recipe that a prepared folder has everything for, in order of training.

    Raises:
        UsageError: the recipe names a model that does not exist.
    """
    load_installed()
    named = {model_spec(name).name for name in (*recipe.stages, *recipe.optional)}
    return tuple(
        name
        for name, spec in _SPECS.items()
        if (folder / spec.needs).exists()
        and (name in named or not (spec.optional or recipe.stages))
    )


def retrieval_model(names: Collection[str]) -> str | None:
    """The one of some models whose vectors an index searches; None if none has any."""
    return next((name for name in (STUDENT, RETRIEVAL) if name in names), None)


def explaining_model(names: Iterable[str]) -> str | None:
    """The first of some models that explains its scores; None if none does."""
    return next((name for name in names if model_spec(name).explains), None)


def _load(reference: Any) -> Any:
    if not isinstance(reference, str):
        return reference
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


PRETRAINING = "label-match"
"""The model whose encoder and word vectors others start from; it also tags and captions."""

RETRIEVAL = "dual"
"""The model whose vectors an index searches, unless there is a `STUDENT`."""

STUDENT = "student"
"""The small dual encoder that learns the scores of the ensemble."""

_SPECS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            "photo-label",
            PhotoLabelConfig,
            "shopsight.models.photo_label:PhotoLabel",
            "shopsight.training.tasks.photo_label:PhotoLabelTask",
            "shopsight.models.photo_label:PhotoLabelProducts",
            "the words that the region extractor sees in the photo; not trained any further",
            needs="extractor/word_head.safetensors",
        ),
        ModelSpec(
            "word-head",
            WordHeadConfig,
            "shopsight.models.word_head:WordClassifier",
            "shopsight.training.tasks.word_head:WordHeadTask",
            "shopsight.models.word_head:WordHeadEncodings",
            "a small classifier of words on pooled features; the learned baseline",
            optional=True,
        ),
        ModelSpec(
            PRETRAINING,
            LabelMatchConfig,
            "shopsight.models.label_match:LabelMatch",
            "shopsight.training.tasks.label_match:LabelMatchTask",
            "shopsight.models.label_match:LabelProducts",
            "every word of the query as a label of the photo; pretraining only",
            uses_trunk=True,
            # The published scores were measured when this stage was named "pretrain"; its random
            # streams keep that key, so that renaming the stage did not change a single number.
            seed_key="pretrain",
        ),
        ModelSpec(
            "word-match",
            WordMatchConfig,
            "shopsight.models.word_match:WordMatch",
            "shopsight.training.tasks.word_match:WordMatchTask",
            "shopsight.models.word_match:WordProducts",
            "weighted words, each with the region of the photo that matches it best",
            uses_trunk=True,
            explains=True,
            published=True,
        ),
        ModelSpec(
            "sentence-match",
            SentenceMatchConfig,
            "shopsight.models.sentence_match:SentenceMatch",
            "shopsight.training.tasks.sentence_match:SentenceMatchTask",
            "shopsight.models.sentence_match:SentenceProducts",
            "a recurrent network reads the query, starting from the photo",
            uses_trunk=True,
            shortlist_by="word-match",
            published=True,
        ),
        ModelSpec(
            RETRIEVAL,
            DualConfig,
            "shopsight.models.dual:Dual",
            "shopsight.training.tasks.dual:DualTask",
            "shopsight.models.dual:DualEncodings",
            "one vector for the query, one for the photo, their cosine",
        ),
        ModelSpec(
            "cross",
            CrossConfig,
            "shopsight.models.cross:Cross",
            "shopsight.training.tasks.cross:CrossTask",
            "shopsight.models.cross:CrossProducts",
            "words and regions attend to each other",
            explains=True,
            shortlist_by=RETRIEVAL,
            optional=True,
        ),
        ModelSpec(
            STUDENT,
            StudentConfig,
            "shopsight.models.dual:Student",
            "shopsight.training.tasks.student:StudentTask",
            "shopsight.models.dual:DualEncodings",
            "a small dual encoder that imitates the ensemble",
            optional=True,
            imitates=True,
        ),
    )
}
