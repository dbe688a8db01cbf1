"""Splits without overlap, queries, and pools that do not leak relevance."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shopsight.config import PhotoColumnsConfig, QueryGenerationConfig
from shopsight.errors import UsageError
from shopsight.formats.click_logs import Click, ClickPairs
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.prepare.photos.candidate_pools import build_pools
from shopsight.prepare.photos.given_pools import QueryInputs
from shopsight.prepare.photos.product_words import ProductWords, query_key
from shopsight.prepare.photos.queries_and_splits import (
    QueriesAndSplits,
    make_queries_and_splits,
)
from shopsight.prepare.photos.settings import PhotosSettings
from shopsight.prepare.photos.splits import (
    NO_SPLIT,
    SPLITS,
    EvalQuery,
    draw_splits,
    named_splits,
)
from shopsight.ranking.audit import audit
from shopsight.types import Pools

COLOURS = ["red", "green", "blue", "black", "white", "pink", "grey", "yellow"]
KINDS = ["dress", "shirt", "shoes", "bag", "lamp", "sofa", "mug", "belt", "hat", "scarf"]
STYLES = ["plain", "striped", "dotted", "long", "short"]
NO_WORDS = ProductWords([], frozenset())


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
    rows: Any, config: QueryGenerationConfig | None = None, seed: int = 0, **options: Any
) -> QueriesAndSplits:
    photos = options.pop("photos", [b""] * len(rows.ids))
    clicks = options.pop("clicks", None)
    inputs = QueryInputs(None if clicks is None else ClickPairs(Path("log.csv"), clicks))
    columns = PhotoColumnsConfig(**options)
    settings = PhotosSettings(columns=columns, queries=config or QueryGenerationConfig(), seed=seed)
    return make_queries_and_splits(rows, photos, settings, inputs)


def keys(split: Any) -> set[tuple[str, ...]]:
    return {query_key(text) for text in split.texts.to_pylist()}


def assert_no_overlap(result: QueriesAndSplits) -> None:
    """Assert that no query, in any order of words, and no product is in two splits."""
    for i, split in enumerate(result.rows):
        assert (result.splits[split.products] == SPLITS.index(split.name)).all()
        for other in result.rows[i + 1 :]:
            assert not keys(split) & keys(other)
            assert not set(split.products.tolist()) & set(other.products.tolist())
            assert not set(split.query_ids.to_pylist()) & set(other.query_ids.to_pylist())


def audited_pools(rows: Any, result: QueriesAndSplits) -> int:
    """The number of pooled splits, after asserting that none leaks."""
    for split in result.rows[1:]:
        ids = split.query_ids.to_pylist()
        pools: dict[str, list[str]] = {}
        for query, product in zip(split.queries, split.products, strict=True):
            pools.setdefault(ids[query], []).append(rows.ids[product])
        texts = dict(zip(ids, split.texts.to_pylist(), strict=True))
        report = audit(
            Pools.from_dict(pools),
            split.qrels,
            lambda values: bootstrap_interval(values, seed=0),
            texts,
        )
        assert report.leak is not None
        assert not report.leak.leaks
        most = 0.02 if len(pools) > 100 else 0.05  # the mean of few queries varies more
        assert abs(report.leak.count_only - report.leak.random) < most
        assert not report.structure.repeated_in_pool
        assert not report.structure.duplicate_queries
        assert not report.leak.unreachable
        assert not report.leak.without_answers
        assert set(split.qrels.relevance) == set(ids)
    return len(result.rows) - 1


@pytest.mark.parametrize("count", [300, 1500, 6000])
def test_queries_from_texts(count):
    rows = catalogue(count)
    result = shop(rows)
    assert [split.name for split in result.rows] == ["train", "valid", "testA"]
    assert_no_overlap(result)
    assert audited_pools(rows, result) == 2
    assert result.info["from"] == "text"
    for split in result.rows[1:]:
        sizes = np.bincount(split.queries)
        in_split = int((result.splits == SPLITS.index(split.name)).sum())
        assert abs(sizes.mean() - min(30, in_split)) < 3
        for query_id, query in zip(
            split.query_ids.to_pylist(), split.texts.to_pylist(), strict=True
        ):
            for product in split.qrels.relevance[query_id]:
                text = rows.texts[int(product[1:])]
                assert set(query_key(query)) <= set(query_key(text))


def test_products_with_all_words_are_relevant_or_excluded():
    rows = catalogue(1500)
    for split in shop(rows).rows[1:]:
        ids, texts = split.query_ids.to_pylist(), split.texts.to_pylist()
        for query, product in zip(split.queries, split.products, strict=True):
            has_all = set(query_key(texts[query])) <= set(query_key(rows.texts[product]))
            assert has_all == (rows.ids[product] in split.qrels.relevance[ids[query]])


def test_brands_are_not_in_queries():
    result = shop(catalogue(1500))
    assert all("brand" not in text for split in result.rows for text in split.texts.to_pylist())
    assert result.info["words_used"] == len(COLOURS) + len(KINDS) + len(STYLES)


def test_other_candidates_are_of_the_same_kind_or_share_a_word():
    rows = catalogue(6000)
    shared = {"head": 0.0, "word": 0.0, "all": 0.0}
    result = shop(rows)
    valid = result.rows[1]
    ids, texts = valid.query_ids.to_pylist(), valid.texts.to_pylist()
    for query, product in zip(valid.queries, valid.products, strict=True):
        if rows.ids[product] in valid.qrels.relevance[ids[query]]:
            continue
        key, words = query_key(texts[query]), set(query_key(rows.texts[product]))
        head = result.words.head_noun(key)
        shared["all"] += 1
        shared["head"] += head in words
        shared["word"] += bool((set(key) - {head}) & words)
    assert shared["head"] / shared["all"] > 0.35
    assert shared["word"] / shared["all"] > 0.25


def test_results_depend_on_the_seed_alone():
    rows = catalogue(500)
    first, same, other = shop(rows), shop(rows), shop(rows, seed=1)
    for a, b in zip(first.rows, same.rows, strict=True):
        assert a.texts.equals(b.texts)
        np.testing.assert_array_equal(a.products, b.products)
    assert not np.array_equal(first.splits, other.splits)


def test_a_click_log_of_other_products_is_an_error():
    rows = catalogue(20)
    rows.ids = [f"{i:03}" for i in range(1, 21)]
    with pytest.raises(UsageError, match=r"the log has '7', the products '007', which differ only"):
        shop(rows, clicks=[Click("red", "7", 1), Click("red", "x", 2)])


def test_ids_of_a_log_may_differ_by_a_decimal_point():
    rows = catalogue(20)
    rows.ids = ["7.0", "8", "9", "9.0", *map(str, range(10, 26))]
    result = shop(
        rows,
        clicks=[Click(f"red {i} {p}", p, 1) for i in range(9) for p in ("7", "8.0", "9", "9.0")],
    )
    assert not any("left out" in warning for warning in result.warnings)
    (train,) = (split for split in result.rows if split.name == "train")
    texts = train.texts.to_pylist()
    pairs = {
        (texts[query].split()[-1], rows.ids[product])
        for query, product in zip(train.queries, train.products, strict=True)
    }
    assert pairs <= {("7", "7.0"), ("8.0", "8"), ("9", "9"), ("9.0", "9.0")}
    assert len(pairs) >= 2


def test_a_click_log():
    rows = catalogue(1000)
    rng = np.random.default_rng(1)
    clicks = [
        Click(f"{rng.choice(COLOURS)} {rng.choice(KINDS)} {i % 40}", f"p{rng.integers(1000)}", 1)
        for i in range(3000)
    ]
    result = shop(rows, clicks=[*clicks, Click("lost", "nowhere", 1)])
    assert_no_overlap(result)
    assert audited_pools(rows, result) == 2
    assert result.warnings == ["1 pair of the click log left out: no such product was prepared"]
    clicked = {(click.query, click.product_id) for click in clicks}
    for split in result.rows[1:]:
        for query_id, text in zip(
            split.query_ids.to_pylist(), split.texts.to_pylist(), strict=True
        ):
            for product in split.qrels.relevance[query_id]:
                assert (text, product) in clicked
    train = result.rows[0]
    texts = train.texts.to_pylist()
    pairs = {(texts[q], rows.ids[p]) for q, p in zip(train.queries, train.products, strict=True)}
    assert pairs <= clicked


def test_a_column_of_queries():
    rows = catalogue(200)
    rows.queries = [[f"find {i // 3}", "popular"] for i in range(200)]
    result = shop(rows, queries="queries")
    assert_no_overlap(result)
    assert result.info["from"] == "column"
    assert {"popular"} & {text for split in result.rows for text in split.texts.to_pylist()}


def test_a_column_of_splits():
    rows = catalogue(600)
    names = ["train", "validation", "test", "unused", ""]
    rows.splits = [names[i % 5] for i in range(600)]
    result = shop(rows, split_column="split")
    assert_no_overlap(result)
    assert (
        "120 products of split 'unused' belong to no split of the prepared data" in result.warnings
    )
    assert "120 products of split '' belong to no split of the prepared data" in result.warnings
    expected = {0: 0, 1: 1, 2: 2, 3: NO_SPLIT, 4: NO_SPLIT}
    assert result.splits.tolist() == [expected[i % 5] for i in range(600)]


def test_named_splits_by_hand():
    warnings: list[str] = []
    result = named_splits(["train", "val", "testB", "odd"], warnings)
    assert result.tolist() == [0, 1, 3, NO_SPLIT]
    assert warnings == ["1 product of split 'odd' belongs to no split of the prepared data"]


def test_the_same_photo_is_in_one_split_only():
    ids = [f"p{i}" for i in range(3000)]
    photos = [f"photo {i // 3}".encode() for i in range(3000)]
    result = draw_splits(ids, photos, QueryGenerationConfig(), 0).reshape(-1, 3)
    assert (result == result[:, :1]).all()
    fractions = np.bincount(result.ravel(), minlength=3) / 3000
    assert abs(fractions - [0.8, 0.1, 0.1]).max() < 0.03


def test_photos_in_two_splits_are_reported():
    rows = catalogue(40)
    rows.splits = ["train", "valid"] * 20
    result = shop(rows, split_column="split", photos=[f"{i // 2}".encode() for i in range(40)])
    assert "20 photos appear in more than one split of the table" in result.warnings


def test_zero_fractions_make_no_evaluation_splits():
    result = shop(catalogue(100), QueryGenerationConfig(valid_fraction=0, test_fraction=0))
    assert [split.name for split in result.rows] == ["train"]


def test_no_words_no_queries():
    rows = catalogue(50)
    rows.texts = [""] * 50
    result = shop(rows)
    assert result.rows == []
    assert "train: no query is left to learn from" in result.warnings
    assert any(warning.startswith("50 products without a word") for warning in result.warnings)


def test_pools_by_hand():
    """Four products, each in three pools."""
    queries = [
        EvalQuery("a x", ("a", "x"), frozenset({0}), frozenset({0})),
        EvalQuery("b x", ("b", "x"), frozenset({1}), frozenset({1, 2})),
        EvalQuery("c y", ("c", "y"), frozenset({2}), frozenset({2})),
        EvalQuery("d y", ("d", "y"), frozenset({3}), frozenset({3})),
    ]
    config = QueryGenerationConfig(pool_size=3, relevant=1)
    rng = np.random.default_rng(0)
    pools = build_pools(queries, np.arange(4), NO_WORDS, config, rng)
    assert all(len(pool.candidates) == 3 for pool in pools)
    offered = np.bincount(np.concatenate([pool.candidates for pool in pools]))
    assert offered.tolist() == [3, 3, 3, 3]
    assert all(2 not in pool.candidates for pool in pools if pool.query.text == "b x")
    for pool in pools:
        assert set(pool.relevant) <= set(pool.candidates)
        assert len(set(pool.candidates.tolist())) == len(pool.candidates)


def test_small_splits_are_pools_as_a_whole():
    queries = [EvalQuery("a", ("a",), frozenset({0, 1}), frozenset({0, 1, 2}))]
    rng = np.random.default_rng(0)
    pools = build_pools(queries, np.arange(5), NO_WORDS, QueryGenerationConfig(), rng)
    assert sorted(pools[0].candidates.tolist()) == [0, 1, 3, 4]
    assert pools[0].relevant.tolist() == [0, 1]


def test_no_queries_no_pools():
    rng = np.random.default_rng(0)
    assert build_pools([], np.arange(5), NO_WORDS, QueryGenerationConfig(), rng) == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"valid_fraction": 0.6, "test_fraction": 0.4},
            "valid_fraction and test_fraction leave no",
        ),
        ({"min_words": 3, "max_words": 2}, "max_words must be at least 3, not 2"),
        ({"relevant": 30}, "relevant must be from 1 to 29, not 30"),
    ],
)
def test_invalid_settings_raise(values, sentence):
    with pytest.raises(UsageError, match=sentence):
        QueryGenerationConfig(**values)
