"""Load trained models from a run folder alone, without network and data."""

from __future__ import annotations

import torch
from torch import nn

from shopsight.errors import unknown_name
from shopsight.inference.run_folder import RunFolder
from shopsight.models.registry import ModelInputs, model_spec
from shopsight.models.word_vectors import WordVectors
from shopsight.weights import load_weights, weight_shapes


def load_model(folder: RunFolder, name: str, device: torch.device | str = "cpu") -> nn.Module:
    """A trained model in evaluation mode.

    Raises:
        UsageError: an unknown name, or a model that was not trained here.
        DataError: the weights are missing or damaged.
    """
    if name not in folder.trained:
        raise unknown_name(f"model of {folder.path}", name, folder.trained)
    path, recipe = folder.stage(name).best, folder.recipe
    shapes = weight_shapes(path)
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
