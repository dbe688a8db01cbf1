"""Photo label: hand-computed scores, words without a label, and the saved form."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from shopsight.batches.batch import PairBatch, Regions, pad_tokens
from shopsight.config import PhotoLabelConfig
from shopsight.errors import DataError
from shopsight.models.photo_label import PhotoLabel
from shopsight.models.registry import ModelInputs, model_spec
from shopsight.regions.word_head import WordHead
from shopsight.training.tasks.photo_label import PhotoLabelTask

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "dresses", "shoe", "un", "##red", "lamp"]
WORDS = ["dress", "red", "shoe", "un"]


def inputs(folder: Path | None, shapes: Any = None) -> ModelInputs:
    vocabulary: Any = SimpleNamespace(tokens=TOKENS)
    nothing: Any = None
    return ModelInputs(nothing, 3, vocabulary, nothing, folder=folder, shapes=shapes or {})


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A prepared folder with a word head of two networks, on 2 and on 1 features."""
    head = WordHead(WORDS, [2, 1])
    with torch.no_grad():
        for layer, rows in zip(
            head.layers, ([[1, 0], [0, 1], [0, 0], [0, 0]], [[0], [0], [0], [0]]), strict=True
        ):
            layer.weight.copy_(torch.tensor(rows))
            layer.bias.zero_()
    (tmp_path / "extractor").mkdir()
    head.save(tmp_path / "extractor")
    return tmp_path


def build(folder: Path) -> PhotoLabel:
    return PhotoLabel.build(PhotoLabelConfig(), inputs(folder))


def scores(model: PhotoLabel, queries: list[list[int]]) -> torch.Tensor:
    """(Q, 2) scores of two products: the first looks like "dress", the second like "red"."""
    features = torch.tensor([[3.0, 0, 0], [9, 9, 9], [0, 5.0, 0]])
    regions = Regions(features.half(), torch.zeros(3, 5), torch.tensor([2, 1]))
    products = model.encode_products(regions)
    encoded = model.encode_queries(pad_tokens(queries, pad=0))
    query_idx = torch.arange(len(queries)).repeat_interleave(2)
    flat = model.score_pairs(encoded, products, query_idx, torch.tensor([0, 1] * len(queries)))
    return flat.view(-1, 2)


def test_scores_are_mean_log_probabilities_of_the_words(prepared: Path) -> None:
    model = build(prepared)
    uniform = torch.log(torch.tensor(0.25))
    first = (torch.tensor([3.0, 0, 0, 0]).log_softmax(0) + uniform) / 2
    second = (torch.tensor([0, 5.0, 0, 0]).log_softmax(0) + uniform) / 2
    dress, red = 0, 1
    expected = torch.tensor(
        [
            [first[dress], second[dress]],
            [(first[dress] + first[red]) / 2, (second[dress] + second[red]) / 2],
        ]
    )
    torch.testing.assert_close(scores(model, [[5], [4, 5]]), expected)


def test_words_that_are_no_labels_do_not_count(prepared: Path) -> None:
    model = build(prepared)
    red, with_lamp, unknown, broken = scores(model, [[4], [4, 9], [1, 9], [7, 8]])
    torch.testing.assert_close(red, with_lamp)
    assert unknown.tolist() == [0, 0]
    assert broken.tolist() == [0, 0]  # "unred" is neither "un" nor "red"
    torch.testing.assert_close(scores(model, [[7, 8, 4]])[0], red)
    torch.testing.assert_close(scores(model, [[4, 7, 8], [4]])[0], red)


def test_a_saved_model_is_rebuilt_from_its_shapes(prepared: Path) -> None:
    model = build(prepared)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    again = PhotoLabel.build(PhotoLabelConfig(), inputs(None, shapes))
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(scores(again, [[4, 5]]), scores(model, [[4, 5]]))


def test_training_it_further_raises_the_clicked_words(prepared: Path) -> None:
    model = build(prepared)
    regions = Regions(torch.rand(2, 3), torch.zeros(2, 5), torch.tensor([1, 1]))
    both = torch.tensor([0, 1])
    batch = PairBatch(regions, pad_tokens([[6], [4]], 0), both, both, both)
    task = PhotoLabelTask(model, PhotoLabelConfig())
    before = task.losses(batch)["softmax"]
    before.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad
    assert task.losses(batch)["softmax"] < before


def test_a_folder_without_a_word_head(tmp_path: Path) -> None:
    assert not (tmp_path / model_spec("photo-label").needs).exists()
    with pytest.raises(DataError, match=r"word_head.safetensors: no such file"):
        build(tmp_path)
