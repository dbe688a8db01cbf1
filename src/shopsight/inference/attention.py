"""Word and region attention weights."""

from __future__ import annotations

from typing import Any

import torch

from shopsight.batches.batch import pad_tokens
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError
from shopsight.inference.encode import one_product, word_weights
from shopsight.inference.load import load_model
from shopsight.inference.run_folder import RunFolder
from shopsight.models.registry import explaining_model


class AttentionWeights:
    """Weights of the words of a query and of the regions of a photo, as a model scores them.

    Raises:
        UsageError: no trained model is `shopsight.models.base.Explainable`.
    """

    def __init__(self, folder: RunFolder, data: PreparedData, device: torch.device | str) -> None:
        name = explaining_model(folder.trained)
        if name is None:
            raise UsageError(f"{folder.path}: no trained model explains its scores")
        self._model: Any = load_model(folder, name, device)
        self._vocabulary, self._data, self._device = folder.vocabulary(), data, device

    @torch.inference_mode()
    def words(self, text: str, product_id: str) -> list[tuple[str, float]]:
        """The words of a query with their weights for a product, which sum to 1."""
        tokens = pad_tokens(self._vocabulary.encode([text]), self._vocabulary.pad)
        queries = self._model.encode_queries(tokens.to(self._device))
        regions = one_product(self._data, product_id, self._device)
        products = self._model.encode_products(regions)
        weights = self._model.attribute(queries, products).weights
        return word_weights(self._vocabulary, text, weights[0])

    @torch.inference_mode()
    def regions(self, product_id: str) -> list[float]:
        """The weights of the regions in the embedding of a photo, which sum to 1."""
        regions = one_product(self._data, product_id, self._device)
        weights: list[float] = self._model.region_weights(regions).tolist()
        return weights
