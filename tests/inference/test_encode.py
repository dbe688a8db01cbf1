"""Ranking: each side encoded once, scores as pair by pair, and words put back together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shopsight.batches.batch import as_regions, pad_tokens
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError
from shopsight.inference import encode as inference
from shopsight.inference.encode import rank_split, word_weights
from shopsight.inference.load import load_model
from shopsight.inference.run_folder import RunFolder
from shopsight.models.registry import model_specs
from shopsight.ranking.run import top_k
from shopsight.text.vocabulary import Vocabulary, train_vocabulary
from shopsight.types import Pools

# Without those that need files of photos.
# The shared run holds neither models of photos nor the optional word head.
MODELS = [s.name for s in model_specs() if not s.needs and s.name != "word-head"]


class Counting:
    """A model that counts its inputs."""

    def __init__(self, model: Any) -> None:
        self._model, self.products, self.queries, self.pairs = model, 0, 0, 0

    def encode_products(self, regions: Any) -> Any:
        self.products += len(regions)
        return self._model.encode_products(regions)

    def encode_queries(self, tokens: Any) -> Any:
        self.queries += len(tokens)
        return self._model.encode_queries(tokens)

    def score_pairs(self, queries: Any, products: Any, query_idx: Any, product_idx: Any) -> Any:
        self.pairs += len(query_idx)
        return self._model.score_pairs(queries, products, query_idx, product_idx)


@pytest.fixture(scope="module")
def data(small_data: Path) -> PreparedData:
    return PreparedData.open(small_data)


@pytest.fixture(scope="module")
def folder(trained: tuple[Path, str]) -> RunFolder:
    return RunFolder.read(trained[0])


@pytest.mark.parametrize("name", MODELS)
def test_it_equals_scoring_pair_by_pair(
    name: str, data: PreparedData, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_BATCH", 7)  # so that several blocks are joined
    model, vocabulary = load_model(folder, name), folder.vocabulary()
    counting = Counting(model)
    run = rank_split(counting, data, vocabulary, "valid")
    assert counting.queries == len(run.pools) == 40
    assert counting.products == len(set(run.pools.product_ids.tolist())) == 200
    assert counting.pairs == len(run.scores) == 1200
    table = data.queries("valid")
    texts = dict(zip(table.ids, table.texts, strict=True))
    first = torch.zeros(1, dtype=torch.int64)
    for at in np.random.default_rng(5).integers(0, len(run.scores), 12):
        query = run.pools.query_ids[run.pools.query_idx[at]]
        tokens = pad_tokens(vocabulary.encode([texts[query]]), vocabulary.pad)
        regions = data.store.read(data.store.index_of([run.pools.product_ids[at]]))
        with torch.no_grad():
            codes = model.encode_queries(tokens), model.encode_products(as_regions(regions))
            expected = model.score_pairs(*codes, first, first)
        assert run.scores[at] == pytest.approx(expected.item(), abs=2e-5)


def test_other_pools_of_the_split_can_be_ranked(data: PreparedData, folder: RunFolder) -> None:
    model, vocabulary = load_model(folder, "dual"), folder.vocabulary()
    full = rank_split(model, data, vocabulary, "valid")
    best = Pools.from_dict(top_k(full, 4))
    assert best.sizes.tolist() == [4] * 40
    again = rank_split(model, data, vocabulary, "valid", pools=best)
    for start, stop in zip(full.pools.offsets[:-1], full.pools.offsets[1:], strict=True):
        top = np.sort(full.scores[start:stop])[-4:]
        query = full.pools.query_idx[start]
        assert np.sort(again.scores[query * 4 : query * 4 + 4]) == pytest.approx(top, abs=1e-6)


def test_a_split_without_candidates_raises(data: PreparedData, folder: RunFolder) -> None:
    with pytest.raises(DataError, match="no pools of split 'train'"):
        rank_split(load_model(folder, "dual"), data, folder.vocabulary(), "train")


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return train_vocabulary(["red dress for women", "leopard print dress"] * 20, 500)


@pytest.mark.parametrize(
    "text",
    ["red dress for women", "Red  DRESS", "dresses reddish", "dress dress", "for the", "☃ red"],
)
def test_every_word_is_shown_with_all_its_weight(text: str, vocabulary: Vocabulary) -> None:
    (ids,) = vocabulary.encode([text])
    weights = torch.arange(1.0, len(ids) + 1)
    shown = word_weights(vocabulary, text, weights / weights.sum())
    assert [word for word, _ in shown] == text.split()
    assert sum(weight for _, weight in shown) == pytest.approx(1)


def test_a_word_that_was_left_out_has_no_weight(vocabulary: Vocabulary) -> None:
    assert len(vocabulary.encode(["red for women"])[0]) >= 2
    shown = dict(word_weights(vocabulary, "red for women", torch.ones(30)))
    assert shown["for"] == 0
    assert min(shown["red"], shown["women"]) >= 1
