"""Load trained models from a run folder alone, without network and data."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from shopsight.errors import DataError, unknown_name
from shopsight.inference.run_folder import RunFolder
from shopsight.models.registry import ModelInputs, model_names, model_spec
from shopsight.models.word_vectors import WordVectors
from shopsight.weights import load_weights

_PREFIX = "model."  # of weights in a file, as `save_weights` writes them


def trained_models(folder: RunFolder) -> list[str]:
    """The models whose stage is finished, in the order in which they are trained."""
    return [name for name in model_names() if folder.stage(name).done() is not None]


def load_model(folder: RunFolder, name: str, device: torch.device | str = "cpu") -> nn.Module:
    """A trained model in evaluation mode.

    Raises:
        UsageError: an unknown name, or a model that was not trained here.
        DataError: the weights are missing or damaged.
    """
    trained = trained_models(folder)
    if name not in trained:
        raise unknown_name(f"model of {folder.path}", name, trained)
    path, recipe = folder.stage(name).best, folder.recipe
    shapes = _shapes(path)
    # Word vectors of a published model are as wide as they were, which only the file knows.
    tables = (shape for weight, shape in shapes.items() if weight.rpartition(".")[2] == "table")
    inputs = ModelInputs(
        recipe=recipe,
        feature_width=folder.manifest["feature_width"],
        vocabulary=folder.vocabulary(),
        words=WordVectors(*next(tables, (1, 1))),
        shapes=shapes,
    )
    model: nn.Module = model_spec(name).network_class.build(recipe.model(name), inputs)
    load_weights(path, model)
    return model.requires_grad_(False).eval().to(device)


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every weight in a file, by name."""
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(_PREFIX)]  # noqa: SIM118
            return {
                name.removeprefix(_PREFIX): tuple(file.get_slice(name).get_shape())
                for name in names
            }
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; train that stage again") from error
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: damaged; train that stage again") from error
