"""What trained models say about single products and queries: tags, captions, what they look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shopsight.data.dataset import PreparedData
from shopsight.inference.encode import read_regions
from shopsight.inference.load import load_model
from shopsight.inference.run_folder import RunFolder
from shopsight.models.captions import beam_search, tag

_SPARE = 4


@dataclass(frozen=True)
class Description:
    """A product in the model's words.

    Attributes:
        product_id: its id.
        tags: words with the probability that they are labels of the photo, likeliest first.
        captions: captions with their log probabilities, likeliest first.
    """

    product_id: str
    tags: tuple[tuple[str, float], ...]
    captions: tuple[tuple[str, float], ...]


class Captioner:
    """Describes products with the pretrained model.

    Args:
        folder: the run folder.
        data: the prepared folder.
        device: where the model runs.

    Raises:
        UsageError: pretraining is not finished.
    """

    def __init__(self, folder: RunFolder, data: PreparedData, device: torch.device | str) -> None:
        self._model: Any = load_model(folder, "label-match", device)
        self._vocabulary, self._data, self._device = folder.vocabulary(), data, device

    @classmethod
    def read(cls, path: str | Path, data: PreparedData, device: torch.device | str) -> Captioner:
        """Open a run folder. Raises DataError where there is none."""
        return cls(RunFolder.read(path), data, device)

    @torch.inference_mode()
    def describe(
        self, product_ids: Sequence[str], tags: int, beam: int, depth: int
    ) -> list[Description]:
        """Tags and captions of products.

        Args:
            product_ids: which.
            tags: most tags a product.
            beam: captions searched at once; 1 is greedy search.
            depth: most tokens of a caption.

        Raises:
            DataError: an id that is not there.
        """
        found: list[Description] = []
        store = self._data.store
        for regions in read_regions(store, store.index_of(product_ids)):
            code = self._model.encoder(regions.to(self._device))
            words = tag(self._model, code, tags * _SPARE)
            captions = beam_search(self._model, code.caption, beam, depth)
            for row, said in zip(words, captions, strict=True):
                whole = [(self._vocabulary.tokens[one.id], one.probability) for one in row]
                spoken = {self._vocabulary.decode(one.ids): one.log_probability for one in said}
                found.append(
                    Description(
                        product_ids[len(found)],
                        tuple(one for one in whole if not one[0].startswith("##"))[:tags],
                        tuple(spoken.items()),
                    )
                )
        return found

    def tags(self, product_id: str, count: int) -> list[str]:
        """The words that suit a product best."""
        (found,) = self.describe([product_id], count, beam=1, depth=1)
        return [word for word, _ in found.tags]
