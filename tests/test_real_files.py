"""Every real query and every real metadata row goes through text, pools and preparation."""

import json

import numpy as np
import pytest

from rawfile import LABELS, RawRow, encode, raw_bytes
from shopsight.config import KddcupConfig, NegativesConfig
from shopsight.negatives.groups import build_query_groups
from shopsight.negatives.sampler import NegativeSampler
from shopsight.prepare.kddcup.ingest import prepare_kddcup

WIDTH = 8


def real_row(row):
    """A metadata row in the raw layout, with drawn features."""
    rng = np.random.default_rng(row["product_id"])
    features = rng.uniform(0, 2, (row["num_boxes"], WIDTH)).astype("<f4")
    return RawRow(
        product_id=row["product_id"],
        image_h=row["image_h"],
        image_w=row["image_w"],
        regions=row["num_boxes"],
        query=row["query"].encode(),
        query_id=row["query_id"],
        columns={
            "boxes": encode(np.array(row["boxes"], "<f4")),
            "features": encode(features),
            "class_labels": encode(np.array(row["class_labels"], "<i8")),
        },
    )


@pytest.fixture(scope="module")
def prepared(shared_data, tmp_path_factory):
    """The metadata rows, then every real query clicked with one of their products."""
    folder = shared_data / "kddcup2020"
    lines = (folder / "train_metadata.jsonl").read_text().splitlines()
    metadata = [json.loads(line) for line in lines]
    queries = (folder / "queries.txt").read_bytes().decode().split("\n")
    queries = queries[:-1] if not queries[-1] else queries
    assert (len(metadata), len(queries)) == (1000, 22271)
    rows = [real_row(row) for row in metadata]
    for number, query in enumerate(queries):
        again = real_row(metadata[number % len(metadata)])
        again.query, again.query_id = query.encode(), 10_000_000 + number
        rows.append(again)
    raw = tmp_path_factory.mktemp("real") / "raw"
    (raw / "train").mkdir(parents=True)
    (raw / "multimodal_labels.txt").write_text(LABELS)
    (raw / "train" / "train.tsv").write_bytes(raw_bytes(rows))
    data = prepare_kddcup(raw, raw.parent / "data", KddcupConfig(workers=2))
    return data, metadata, queries


def test_no_real_row_is_rejected(prepared):
    data, metadata, queries = prepared
    assert data.manifest["skipped"] == {}
    assert data.manifest["splits"]["train"]["rows"] == 1000 + len(queries)
    assert set(data.store.product_ids) == {str(row["product_id"]) for row in metadata}
    table = data.queries("train")
    assert table.texts[-len(queries) :] == queries


def test_real_boxes_and_labels_come_back(prepared):
    data, metadata, _ = prepared
    index = data.store.index_of([str(row["product_id"]) for row in metadata])
    batch = data.store.read(index)
    assert batch.lengths.tolist() == [row["num_boxes"] for row in metadata]
    assert batch.labels.tolist() == [label for row in metadata for label in row["class_labels"]]
    assert ((batch.boxes >= 0) & (batch.boxes <= 1)).all()


def test_every_real_query_has_tokens(prepared):
    data, _, queries = prepared
    encoded = data.vocabulary().encode(queries)
    assert len(encoded) == len(queries)
    assert all(encoded)


def test_every_real_pair_has_negatives_that_are_not_positives(prepared):
    data, _, _ = prepared
    texts, pairs = data.queries("train").texts, data.pairs()
    groups = build_query_groups(texts, NegativesConfig(clusters=50), seed=0)
    sampler = NegativeSampler(groups, pairs.queries, pairs.products)
    drawn = sampler.draw(pairs.queries, pairs.products, np.random.default_rng(0))
    clicked = set(zip(groups.text[pairs.queries].tolist(), pairs.products.tolist(), strict=True))
    negatives = zip(groups.text[pairs.queries].tolist(), drawn.products.tolist(), strict=True)
    assert not clicked & set(negatives)
    others = zip(groups.text[drawn.queries].tolist(), pairs.products.tolist(), strict=True)
    assert not clicked & set(others)
