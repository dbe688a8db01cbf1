"""Tags and captions of product photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from shopsight.data.dataset import PreparedData
from shopsight.inference.encode import read_regions
from shopsight.inference.load import load_model
from shopsight.inference.run_folder import RunFolder
from shopsight.models.captions import beam_search, tag
from shopsight.models.registry import PRETRAINING
from shopsight.text.normalise import words
from shopsight.text.wordpiece import PREFIX


@dataclass(frozen=True)
class Description:
    """Tags of a product with the probabilities of being labels; captions with log probabilities."""

    product_id: str
    tags: tuple[tuple[str, float], ...]
    captions: tuple[tuple[str, float], ...]


class Captioner:
    """Describes the products of a prepared folder with the label-match model.

    Raises:
        UsageError: the run folder has no finished label-match stage.
        DataError: the run was trained on other features than those of the data.
    """

    def __init__(self, folder: RunFolder, data: PreparedData, device: torch.device | str) -> None:
        folder.check_data(data)
        self._model = cast(Any, load_model(folder, PRETRAINING, device))
        self._vocabulary, self._data, self._device = folder.vocabulary(), data, device
        labels = [self._vocabulary.tokens[i] for i in self._model.label_ids.tolist()]
        # Neither pieces of words nor punctuation describe a photo.
        self._shown = torch.tensor([not t.startswith(PREFIX) and bool(words(t)) for t in labels])

    @torch.inference_mode()
    def describe(
        self, product_ids: Sequence[str], tags: int, beam: int, depth: int
    ) -> list[Description]:
        """At most ``tags`` tags of each product, and captions of at most ``depth`` tokens.

        A ``beam`` of width 1 is greedy search.

        Raises:
            DataError: an unknown product id.
        """
        descriptions: list[Description] = []
        store, tokens, decode = self._data.store, self._vocabulary.tokens, self._vocabulary.decode
        for regions in read_regions(store, store.index_of(product_ids)):
            encoded = self._model.encoder(regions.to(self._device))
            labels = tag(self._model, encoded, tags, self._shown)
            captions = beam_search(self._model, encoded.caption, beam, depth)
            for row, beams in zip(labels, captions, strict=True):
                shown = tuple((tokens[label.id], label.probability) for label in row)
                # Different tokens may decode to the same text, of which the last one counts.
                texts = {decode(caption.ids): caption.log_probability for caption in beams}
                product_id = product_ids[len(descriptions)]
                descriptions.append(Description(product_id, shown, tuple(texts.items())))
        return descriptions

    def tags(self, product_id: str, count: int) -> list[str]:
        """The most probable tags of a product."""
        (description,) = self.describe([product_id], count, beam=1, depth=1)
        return [word for word, _ in description.tags]
