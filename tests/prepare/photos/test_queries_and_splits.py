"""Splits that share nothing, queries, and pools that give nothing away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shopsight.config import QueryGenerationConfig
from shopsight.errors import UsageError
from shopsight.formats.click_logs import Click
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.prepare.photos.candidate_pools import build_pools
from shopsight.prepare.photos.product_words import key_of
from shopsight.prepare.photos.queries_and_splits import Shelves, Shoppers, follow_shoppers
from shopsight.prepare.photos.splits import (
    NONE,
    SPLITS,
    Question,
    drawn_splits,
    given_splits,
)
from shopsight.ranking.audit import audit
from shopsight.types import Pools

COLOURS = ["red", "green", "blue", "black", "white", "pink", "grey", "yellow"]
KINDS = ["dress", "shirt", "shoes", "bag", "lamp", "sofa", "mug", "belt", "hat", "scarf"]
STYLES = ["plain", "striped", "dotted", "long", "short"]


def catalogue(count: int, seed: int = 0) -> Any:
    """Products with titles of brand, style, colour and kind."""
    rng = np.random.default_rng(seed)
    texts = [
        f"Brand{i} {rng.choice(STYLES)} {rng.choice(COLOURS)} {rng.choice(KINDS)}"
        for i in range(count)
    ]
    return SimpleNamespace(
        ids=[f"p{i}" for i in range(count)],
        texts=texts,
        splits=[""] * count,
        queries=[[] for _ in range(count)],
    )


def shop(
    rows: Any, config: QueryGenerationConfig | None = None, seed: int = 0, **how: Any
) -> Shoppers:
    config = config or QueryGenerationConfig()
    photos = how.pop("photos", [b""] * len(rows.ids))
    shelves = Shelves.of(rows, photos, config, seed, as_given=how.pop("as_given", False))
    clicks, from_column = how.pop("clicks", None), how.pop("from_column", False)
    return follow_shoppers(rows, shelves, clicks, config, seed, from_column=from_column)


def keys(split: Any) -> set[tuple[str, ...]]:
    return {key_of(text) for text in split.texts.to_pylist()}


def assert_nothing_leaks(rows: Any, found: Shoppers) -> None:
    """No query, whatever its order of words, and no product is in two splits."""
    for i, one in enumerate(found.rows):
        place = SPLITS.index(one.name)
        assert (found.splits[one.products] == place).all()
        for other in found.rows[i + 1 :]:
            assert not keys(one) & keys(other)
            assert not set(one.products.tolist()) & set(other.products.tolist())
            assert not set(one.query_ids.to_pylist()) & set(other.query_ids.to_pylist())


def assert_pools_give_nothing_away(rows: Any, found: Shoppers) -> int:
    looked_at = 0
    for split in found.rows[1:]:
        looked_at += 1
        ids = split.query_ids.to_pylist()
        pools: dict[str, list[str]] = {}
        for query, product in zip(split.queries, split.products, strict=True):
            pools.setdefault(ids[query], []).append(rows.ids[product])
        texts = dict(zip(ids, split.texts.to_pylist(), strict=True))
        result = audit(
            Pools.from_dict(pools),
            split.answers,
            lambda values: bootstrap_interval(values, seed=0),
            texts,
        )
        assert result.leak is not None
        assert not result.leak.leaks
        most = 0.02 if len(pools) > 100 else 0.05  # a mean over few queries is not exact
        assert abs(result.leak.count_only - result.leak.random) < most
        assert not result.structure.repeated_in_pool
        assert not result.structure.duplicate_queries
        assert not result.leak.unreachable
        assert not result.leak.without_answers
        assert set(split.answers.relevance) == set(ids)
    return looked_at


@pytest.mark.parametrize("count", [300, 1500, 6000])
def test_queries_from_texts(count):
    rows = catalogue(count)
    found = shop(rows)
    assert [split.name for split in found.rows] == ["train", "valid", "testA"]
    assert_nothing_leaks(rows, found)
    assert assert_pools_give_nothing_away(rows, found) == 2
    assert found.about["from"] == "text"
    for split in found.rows[1:]:
        sizes = np.bincount(split.queries)
        in_split = int((found.splits == SPLITS.index(split.name)).sum())
        assert abs(sizes.mean() - min(30, in_split)) < 3
        for query_id, query in zip(
            split.query_ids.to_pylist(), split.texts.to_pylist(), strict=True
        ):
            for product in split.answers.relevance[query_id]:
                text = rows.texts[int(product[1:])]
                assert set(key_of(query)) <= set(key_of(text))


def test_what_has_all_words_is_relevant_or_no_candidate():
    rows = catalogue(1500)
    for split in shop(rows).rows[1:]:
        ids, texts = split.query_ids.to_pylist(), split.texts.to_pylist()
        for query, product in zip(split.queries, split.products, strict=True):
            has_all = set(key_of(texts[query])) <= set(key_of(rows.texts[product]))
            assert has_all == (rows.ids[product] in split.answers.relevance[ids[query]])


def test_brands_are_not_asked_for():
    found = shop(catalogue(1500))
    assert all("brand" not in text for split in found.rows for text in split.texts.to_pylist())
    assert found.about["words_used"] == len(COLOURS) + len(KINDS) + len(STYLES)


def test_other_candidates_are_of_the_same_kind_or_share_a_word():
    rows = catalogue(6000)
    shared = {"head": 0.0, "word": 0.0, "all": 0.0}
    found = shop(rows)
    valid = found.rows[1]
    ids, texts = valid.query_ids.to_pylist(), valid.texts.to_pylist()
    for query, product in zip(valid.queries, valid.products, strict=True):
        if rows.ids[product] in valid.answers.relevance[ids[query]]:
            continue
        key, words = key_of(texts[query]), set(key_of(rows.texts[product]))
        head = found.words.head_of(key)
        shared["all"] += 1
        shared["head"] += head in words
        shared["word"] += bool((set(key) - {head}) & words)
    assert shared["head"] / shared["all"] > 0.35
    assert shared["word"] / shared["all"] > 0.25


def test_the_same_seed_gives_the_same_and_another_one_another():
    rows = catalogue(500)
    one, same, other = shop(rows), shop(rows), shop(rows, seed=1)
    for a, b in zip(one.rows, same.rows, strict=True):
        assert a.texts.equals(b.texts)
        np.testing.assert_array_equal(a.products, b.products)
    assert not np.array_equal(one.splits, other.splits)


def test_a_click_log():
    rows = catalogue(1000)
    rng = np.random.default_rng(1)
    clicks = [
        Click(f"{rng.choice(COLOURS)} {rng.choice(KINDS)} {i % 40}", f"p{rng.integers(1000)}", 1)
        for i in range(3000)
    ]
    found = shop(rows, clicks=[*clicks, Click("lost", "nowhere", 1)])
    assert_nothing_leaks(rows, found)
    assert assert_pools_give_nothing_away(rows, found) == 2
    assert found.warnings == ["1 pair of the click log left out: no such product was prepared"]
    clicked = {(one.query, one.product_id) for one in clicks}
    for split in found.rows[1:]:
        for query_id, text in zip(
            split.query_ids.to_pylist(), split.texts.to_pylist(), strict=True
        ):
            for product in split.answers.relevance[query_id]:
                assert (text, product) in clicked
    train = found.rows[0]
    texts = train.texts.to_pylist()
    pairs = {(texts[q], rows.ids[p]) for q, p in zip(train.queries, train.products, strict=True)}
    assert pairs <= clicked


def test_a_column_of_queries():
    rows = catalogue(200)
    rows.queries = [[f"find {i // 3}", "popular"] for i in range(200)]
    found = shop(rows, from_column=True)
    assert_nothing_leaks(rows, found)
    assert found.about["from"] == "column"
    assert {"popular"} & {text for split in found.rows for text in split.texts.to_pylist()}


def test_splits_as_given():
    rows = catalogue(600)
    names = ["train", "validation", "test", "unused", ""]
    rows.splits = [names[i % 5] for i in range(600)]
    found = shop(rows, as_given=True)
    assert_nothing_leaks(rows, found)
    assert "120 products of split 'unused' are stored, and in no split" in found.warnings
    assert "120 products of split '' are stored, and in no split" in found.warnings
    wanted = {0: 0, 1: 1, 2: 2, 3: NONE, 4: NONE}
    assert found.splits.tolist() == [wanted[i % 5] for i in range(600)]


def test_given_splits_by_hand():
    warnings: list[str] = []
    found = given_splits(["train", "val", "testB", "odd"], warnings)
    assert found.tolist() == [0, 1, 3, NONE]
    assert warnings == ["1 product of split 'odd' is stored, and in no split"]


def test_the_same_photo_is_in_one_split_only():
    ids = [f"p{i}" for i in range(3000)]
    photos = [f"photo {i // 3}".encode() for i in range(3000)]
    found = drawn_splits(ids, photos, QueryGenerationConfig(), 0).reshape(-1, 3)
    assert (found == found[:, :1]).all()
    shares = np.bincount(found.ravel(), minlength=3) / 3000
    assert abs(shares - [0.8, 0.1, 0.1]).max() < 0.03


def test_photos_of_two_splits_are_noted():
    rows = catalogue(40)
    rows.splits = ["train", "valid"] * 20
    found = shop(rows, as_given=True, photos=[f"{i // 2}".encode() for i in range(40)])
    assert "20 photos of more than one split, as the table has it" in found.warnings


def test_no_evaluation_where_none_is_wanted():
    found = shop(catalogue(100), QueryGenerationConfig(valid_fraction=0, test_fraction=0))
    assert [split.name for split in found.rows] == ["train"]


def test_a_shop_without_words_has_no_queries():
    rows = catalogue(50)
    rows.texts = [""] * 50
    found = shop(rows)
    assert found.rows == []
    assert "train: no query is left to learn from" in found.warnings
    assert any(one.startswith("50 products with no word") for one in found.warnings)


def test_pools_by_hand():
    """Four products in three pools each: every product has the same number of places."""
    questions = [
        Question("a x", ("a", "x"), frozenset({0}), frozenset({0})),
        Question("b x", ("b", "x"), frozenset({1}), frozenset({1, 2})),
        Question("c y", ("c", "y"), frozenset({2}), frozenset({2})),
        Question("d y", ("d", "y"), frozenset({3}), frozenset({3})),
    ]
    config = QueryGenerationConfig(pool_size=3, relevant=1)
    rng = np.random.default_rng(0)
    pools = build_pools(
        questions, np.arange(4), lambda word: set(), lambda key: key[0], config, rng
    )
    assert all(len(pool.candidates) == 3 for pool in pools)
    offered = np.bincount(np.concatenate([pool.candidates for pool in pools]))
    assert offered.tolist() == [3, 3, 3, 3]
    assert all(2 not in pool.candidates for pool in pools if pool.question.text == "b x")
    for pool in pools:
        assert set(pool.relevant) <= set(pool.candidates)
        assert len(set(pool.candidates.tolist())) == len(pool.candidates)


def test_a_split_no_larger_than_a_pool_is_a_candidate_as_a_whole():
    questions = [Question("a", ("a",), frozenset({0, 1}), frozenset({0, 1, 2}))]
    pools = build_pools(
        questions,
        np.arange(5),
        lambda word: set(),
        lambda key: key[0],
        QueryGenerationConfig(),
        np.random.default_rng(0),
    )
    assert sorted(pools[0].candidates.tolist()) == [0, 1, 3, 4]
    assert pools[0].relevant.tolist() == [0, 1]


def test_no_questions_no_pools():
    rng = np.random.default_rng(0)
    found = build_pools(
        [], np.arange(5), lambda w: set(), lambda k: k[0], QueryGenerationConfig(), rng
    )
    assert found == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"valid_fraction": 0.6, "test_fraction": 0.4},
            "--valid-fraction and --test-fraction leave no",
        ),
        ({"least_words": 3, "most_words": 2}, "most_words must be at least 3, not 2"),
        ({"relevant": 30}, "relevant must be from 1 to 29, not 30"),
    ],
)
def test_settings_that_make_no_sense(values, sentence):
    with pytest.raises(UsageError, match=sentence):
        QueryGenerationConfig(**values)
