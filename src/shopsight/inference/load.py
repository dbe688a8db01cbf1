"""Models as training left them, by name: from the run folder alone, with no network and no data."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from shopsight.errors import DataError, unknown_name
from shopsight.inference.run_folder import RunFolder
from shopsight.inference.weights import load_weights
from shopsight.models.dual import Dual
from shopsight.models.label_match import LabelMatch, SpecialIds
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch
from shopsight.models.word_vectors import WordVectors

MODELS = {
    "label-match": "label-match",
    "word-match": "word-match",
    "sentence-match": "sentence-match",
    "dual": "dual",
}
"""Every model that ranks, and the stage that trains it."""

_PREFIX = "model."  # of weights in a file, as `save_weights` writes them


def trained_models(folder: RunFolder) -> list[str]:
    """The models whose stage is finished, in the order in which they are trained."""
    return [name for name, stage in MODELS.items() if folder.stage(stage).done() is not None]


def load_model(folder: RunFolder, name: str, device: torch.device | str = "cpu") -> nn.Module:
    """A trained model, in evaluation mode.

    Args:
        folder: the run folder.
        name: "label-match", "word-match", "sentence-match" or "dual".
        device: where to.

    Raises:
        UsageError: an unknown name, or a model that was not trained here.
        DataError: the weights are missing or damaged.
    """
    trained = trained_models(folder)
    if name not in trained:
        raise unknown_name(f"model of {folder.path}", name, trained)
    path = folder.stage(MODELS[name]).best
    model = _empty(folder, name, path)
    load_weights(path, model)
    return model.requires_grad_(False).eval().to(device)


def _empty(folder: RunFolder, name: str, path: Path) -> nn.Module:
    """The layers of a model, at the sizes that its weights have."""
    recipe, vocabulary, shapes = folder.recipe, folder.vocabulary(), _shapes(path)
    if name == "dual":
        table = shapes.get("towers.0.text.shared.table")
        shared = WordVectors(*table) if table else None
        width = shapes["towers.0.image.features.mean"][0]
        return Dual(width, vocabulary.size, recipe.dual, vocabulary.unk, shared=shared)
    width, words = shapes["encoder.trunk.features.mean"][0], WordVectors(*shapes["words.table"])
    if name == "word-match":
        return WordMatch(width, words, recipe.encoder, recipe.word_match)
    if name == "sentence-match":
        return SentenceMatch(width, words, recipe.encoder, recipe.sentence_match)
    special = SpecialIds(vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end)
    words_of_all = [one for one in range(vocabulary.size) if one not in special]
    labels = torch.tensor(words_of_all[: shapes["label_ids"][0]])  # the file says which
    return LabelMatch(width, words, recipe.encoder, labels, special)


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every weight in a file, by name."""
    try:
        with safe_open(path, "pt") as file:
            names = [one for one in file.keys() if one.startswith(_PREFIX)]  # noqa: SIM118
            return {
                one.removeprefix(_PREFIX): tuple(file.get_slice(one).get_shape()) for one in names
            }
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; train that stage again") from error
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: damaged; train that stage again") from error
