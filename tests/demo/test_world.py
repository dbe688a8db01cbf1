"""Small world, read back with a naive reader and checked against its ground truth."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from shopsight.config import WorldConfig
from shopsight.demo.world import make_world
from shopsight.demo.world.pools import sample_pools
from shopsight.demo.world.products import MAX_REGIONS, Products, sample_products
from shopsight.demo.world.queries import QuerySampler, satisfies
from shopsight.demo.world.words import HUMAN_LABELS, KINDS, LABELS, VALUES
from shopsight.errors import UsageError

HEADER = [
    "product_id",
    "image_h",
    "image_w",
    "num_boxes",
    "boxes",
    "features",
    "class_labels",
    "query",
    "query_id",
]
WIDTH = 16  # of the small_world fixture


class Row(NamedTuple):
    product_id: str
    image_size: tuple[int, int]
    boxes: Any
    features: Any
    labels: Any
    query: str
    query_id: str


def naive_rows(path: Path, width: int = WIDTH) -> list[Row]:
    header, *lines = path.read_text().removesuffix("\n").split("\n")
    assert header.split("\t") == HEADER
    rows = []
    for line in lines:
        product, h, w, n, boxes, features, labels, query, query_id = line.split("\t")
        count = int(n)
        rows.append(
            Row(
                product,
                (int(h), int(w)),
                np.frombuffer(base64.b64decode(boxes), "<f4").reshape(count, 4),
                np.frombuffer(base64.b64decode(features), "<f4").reshape(count, width),
                np.frombuffer(base64.b64decode(labels), "<i8").reshape(count),
                query,
                query_id,
            )
        )
    return rows


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def a_split(seed: int, config: WorldConfig) -> tuple[Products, QuerySampler, np.random.Generator]:
    rng = np.random.default_rng(seed)
    products = sample_products(config.eval_products, 0, rng)
    return products, QuerySampler(products, rng), rng


@pytest.mark.parametrize(("split", "count"), [("train", 600), ("valid", 1200), ("testA", 1200)])
def test_every_row_is_valid(small_world: Path, split: str, count: int) -> None:
    rows = naive_rows(small_world / split / f"{split}.tsv")
    assert len(rows) == count
    for row in rows:
        top, left, bottom, right = row.boxes.T
        height, width = row.image_size
        assert (top >= 0).all()
        assert (left >= 0).all()
        assert (bottom <= height).all()
        assert (right <= width).all()
        assert (bottom - top >= 1).all()
        assert (right - left >= 1).all()
        assert np.isfinite(row.features).all()
        assert (row.features >= 0).all()
        assert ((row.labels >= 0) & (row.labels < 33)).all()
        assert row.query == row.query.strip() != ""
        int(row.product_id), int(row.query_id)


def test_product_columns_are_identical_in_every_row(small_world: Path) -> None:
    seen: dict[str, bytes] = {}
    repeats = 0
    for split in ("train", "valid", "testA"):
        for line in (small_world / split / f"{split}.tsv").read_bytes().splitlines()[1:]:
            columns = line.split(b"\t")
            content = b"\t".join(columns[1:7])
            repeats += columns[0].decode() in seen
            assert seen.setdefault(columns[0].decode(), content) == content
    assert repeats > 1000


def test_train_texts_and_ids_are_bijective_and_pairs_distinct(small_world: Path) -> None:
    rows = naive_rows(small_world / "train" / "train.tsv")
    texts = {row.query_id: row.query for row in rows}
    assert all(texts[row.query_id] == row.query for row in rows)
    assert len(set(texts.values())) == len(texts)
    assert len({(row.query_id, row.product_id) for row in rows}) == len(rows)
    assert 250 < len(texts) < 450  # some queries have several clicks


def test_clicked_and_relevant_products_satisfy_the_query(small_world: Path) -> None:
    truth = json.loads((small_world / "truth.json").read_text())
    assert list(truth) == ["train", "valid", "testA"]
    for split, attributes in truth.items():
        rows = naive_rows(small_world / split / f"{split}.tsv")
        satisfied = {
            (row.query_id, row.product_id)
            for row in rows
            if attributes["queries"][row.query_id].items()
            <= attributes["products"][row.product_id].items()
        }
        if split == "train":
            assert len(satisfied) == len(rows)
            continue
        answers = json.loads((small_world / split / f"{split}_answer.json").read_text())
        assert {(q, str(p)) for q, relevant in answers.items() for p in relevant} == satisfied
        assert all(isinstance(p, int) for relevant in answers.values() for p in relevant)
        assert set(answers) == {row.query_id for row in rows} == set(attributes["queries"])
        assert all(1 <= len(relevant) <= 6 for relevant in answers.values())
        assert set(Counter(row.query_id for row in rows).values()) == {30}
        assert len({(row.query_id, row.product_id) for row in rows}) == len(rows)


def test_query_texts_mention_the_wanted_values(small_world: Path) -> None:
    known = json.loads((small_world / "truth.json").read_text())["train"]
    texts = {row.query_id: row.query for row in naive_rows(small_world / "train" / "train.tsv")}
    wordings = {
        (kind, value.name): (*value.before, *value.after)
        for kind, values in zip(KINDS, VALUES, strict=True)
        for value in values
    }
    for query_id, wanted in known["queries"].items():
        for item in wanted.items():
            assert any(text in texts[query_id] for text in wordings[item]), (
                texts[query_id],
                item,
            )
    heads = {name.split()[-1] for value in VALUES[0] for name in value.before}
    fraction = np.mean([text.split()[-1] in heads for text in texts.values()])
    assert 0.6 < fraction < 0.9  # the head noun mostly comes last


def test_the_label_file_has_the_33_real_classes(small_world: Path, shared_data: Path) -> None:
    ours = (small_world / "multimodal_labels.txt").read_text()
    real = (shared_data / "kddcup2020" / "multimodal_labels.txt").read_text()
    assert ours.split("\n") == [*real.removesuffix("\n").split("\n"), ""]
    assert len(LABELS) == 33


def test_region_statistics_follow_the_competition() -> None:
    products = sample_products(60_000, 0, np.random.default_rng(5))
    lengths = np.diff(products.offsets)
    assert lengths.mean() == pytest.approx(3.77, abs=0.05)
    assert lengths.std() == pytest.approx(3.3, abs=0.15)
    assert np.percentile(lengths, [25, 50, 75]).tolist() == [2, 3, 5]
    assert 40 < lengths.max() <= MAX_REGIONS
    human = np.isin(products.labels, HUMAN_LABELS)
    assert (products.strengths[human] == 0).all()
    assert (products.strengths > 0).all(1)[~human].sum() >= len(products)


def test_features_encode_the_attributes(small_world: Path) -> None:
    """Products with common attributes are closer than products without."""
    known = json.loads((small_world / "truth.json").read_text())["train"]["products"]
    vectors: dict[str, Any] = {}
    for row in naive_rows(small_world / "train" / "train.tsv"):
        whole = row.features.mean(0)
        vectors[row.product_id] = whole / np.linalg.norm(whole)
    ids = list(vectors)
    similar, different = [], []
    for i, a in enumerate(ids):
        for b in ids[:i]:
            shared = len(known[a].items() & known[b].items())
            if shared >= 4:
                similar.append(vectors[a] @ vectors[b])
            elif shared == 0:
                different.append(vectors[a] @ vectors[b])
    assert len(similar) > 30
    assert np.mean(similar) > np.mean(different) + 0.1


@pytest.mark.parametrize(
    ("products", "queries"), [(800, 150), (750, 150), (3000, 150), (9000, 150)]
)
def test_the_number_of_pools_does_not_predict_relevance(products: int, queries: int) -> None:
    """Over ten worlds, the fraction of relevant candidates is equal at each pool count."""
    config = WorldConfig(eval_products=products, eval_queries=queries)
    slots: Counter[int] = Counter()
    relevant: Counter[int] = Counter()
    for seed in range(10):
        world = a_split(seed, config)
        pools = sample_pools(*world[:2], config, world[2])
        count = Counter(int(p) for pool in pools for p in pool.candidates)
        for pool in pools:
            slots.update(count[int(p)] for p in pool.candidates)
            relevant.update(count[int(p)] for p in pool.relevant)
    overall = relevant.total() / slots.total()
    assert 0.12 < overall < 0.21
    common = [c for c in slots if slots[c] > 4000]
    assert sum(slots[c] for c in common) > 0.99 * slots.total()
    for c in common:
        error = (overall * (1 - overall) / slots[c]) ** 0.5
        assert relevant[c] / slots[c] == pytest.approx(overall, abs=max(4 * error, 0.008))


def test_distractors_are_hard_and_never_satisfy_the_query() -> None:
    config = WorldConfig()
    products, sampler, rng = a_split(1, config)
    same_type = []
    for pool in sample_pools(products, sampler, config, rng):
        others = np.setdiff1d(pool.candidates, pool.relevant)
        assert len(pool.candidates) == config.pool_size == len(set(pool.candidates.tolist()))
        assert not satisfies(products.attributes[others], pool.query.wanted).any()
        assert satisfies(products.attributes[pool.relevant], pool.query.wanted).all()
        same_type.append(np.mean(products.attributes[others, 0] == pool.query.wanted[0]))
    assert 0.2 < np.mean(same_type) < 0.7


def test_generation_is_seeded(tmp_path: Path) -> None:
    config = WorldConfig(
        train_rows=80, train_products=40, eval_queries=6, eval_products=40, feature_width=8
    )
    for name, seed in ("a", 7), ("b", 7), ("c", 8):
        make_world(tmp_path / name, WorldConfig(**{**vars(config), "seed": seed}))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert len(digests(tmp_path / "a")) == 7
    other = digests(tmp_path / "c")
    assert [f for f in other if other[f] == digests(tmp_path / "a")[f]] == ["multimodal_labels.txt"]


def test_features_do_not_depend_on_the_block_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = WorldConfig(train_rows=200, train_products=60, feature_width=8, splits=("train",))
    make_world(tmp_path / "a", config)
    monkeypatch.setattr("shopsight.demo.world.files._BLOCK_BYTES", 500)
    make_world(tmp_path / "b", config)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_one_product_can_be_asked_for_in_any_number_of_ways(tmp_path: Path) -> None:
    config = WorldConfig(train_rows=500, train_products=1, feature_width=4, splits=("train",))
    make_world(tmp_path, config)
    assert len({row.query for row in naive_rows(tmp_path / "train" / "train.tsv", 4)}) == 500


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"train_rows": 0}, "train_rows of a small world must be at least 1"),
        ({"pool_size": 6}, "pool_size of a small world must be at least 7"),
        ({"eval_products": 29}, "eval_products of a small world must be at least 30"),
        ({"splits": ("valid", "valid")}, "splits of a small world must be distinct names"),
    ],
)
def test_impossible_sizes_are_refused(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_world(tmp_path / "world", WorldConfig(**change))
    assert not (tmp_path / "world").exists()
