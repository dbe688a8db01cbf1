"""Word head: log probabilities of words from the features of a whole photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.errors import DataError
from shopsight.weights import load_weights, read_meta, save_weights

FILE = "word_head.safetensors"


class WordHead(nn.Module):
    """One linear layer for each backbone, on its own part of the features; their mean counts.

    Args:
        words: the L words, as singulars.
        widths: feature dimension of each backbone.
    """

    def __init__(self, words: Sequence[str], widths: Sequence[int]) -> None:
        super().__init__()
        self.words, self.widths = list(words), list(widths)
        self.layers = nn.ModuleList(nn.Linear(width, len(words)) for width in widths)

    def forward(self, features: Tensor) -> Tensor:
        """(P, L) mean log probabilities of whole-photo features (P, F)."""
        parts = torch.split(features.float(), self.widths, dim=1)
        layers = zip(self.layers, parts, strict=True)
        return torch.stack([functional.log_softmax(layer(x), dim=1) for layer, x in layers]).mean(0)

    def save(self, folder: Path) -> None:
        """Write weights and words."""
        save_weights(folder / FILE, self, {"words": self.words, "widths": self.widths})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The head that `save` wrote. Raises DataError if it is missing or damaged."""
        path = folder / FILE
        meta = read_meta(path)
        try:
            head = cls([str(word) for word in meta["words"]], [int(w) for w in meta["widths"]])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged; prepare the photos again") from error
        load_weights(path, head)
        return head
