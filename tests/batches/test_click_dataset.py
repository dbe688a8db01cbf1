import numpy as np
import pytest

from shopsight.batches.click_dataset import ClickedPairs, TokenLists
from shopsight.config import NegativesConfig
from shopsight.data.dataset import PreparedData
from shopsight.negatives.groups import build_query_groups
from shopsight.prepare.kddcup.ingest import prepare_kddcup


@pytest.fixture(scope="module")
def data(small_world, tmp_path_factory):
    return prepare_kddcup(small_world, tmp_path_factory.mktemp("data") / "data")


def test_a_block_holds_the_lists_in_the_given_order():
    block = TokenLists.of([[1, 2, 3], [4], [5, 6]], pad=9).block(np.array([2, 0, 2]))
    assert block.ids.tolist() == [[5, 6, 9], [1, 2, 3], [5, 6, 9]]
    assert block.mask.sum(1).tolist() == [2, 3, 2]


def test_pairs_of_prepared_data_keep_their_words(data: PreparedData):
    vocabulary, table = data.vocabulary(), data.queries("train")
    groups = build_query_groups(table.texts, NegativesConfig(clusters=4), seed=0)
    pairs = ClickedPairs.of(data, vocabulary, groups)
    assert len(pairs) == len(data.pairs()) > 500
    for row in (0, 17, len(pairs) - 1):
        expected = vocabulary.encode([table.texts[pairs.queries[row]]])[0]
        block = pairs.tokens.block(pairs.texts[row : row + 1])
        assert block.ids[0].tolist() == expected


def test_queries_of_function_words_only_are_dropped(data: PreparedData, monkeypatch):
    vocabulary, table = data.vocabulary(), data.queries("train")
    texts = ["for the", "☃", *table.texts[2:]]
    monkeypatch.setattr(data, "queries", lambda split: type(table)(table.ids, texts))
    groups = build_query_groups(texts, NegativesConfig(clusters=4), seed=0)
    pairs = ClickedPairs.of(data, vocabulary, groups)
    dropped = np.isin(data.pairs().queries, [0, 1])
    assert dropped.any()
    assert np.array_equal(pairs.queries, data.pairs().queries[~dropped])
