"""The scripts that reproduce the fashion benchmark from its pixels, on few photos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoshop import items
from shopsight.api.data import prepare_photos

SHOP = items(40)
FIRST = 100_000_000


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """The benchmark's files: 40 products in all splits, three of them unused."""
    folder = tmp_path / "fashion"
    folder.mkdir()
    splits = ["train", "train", "valid", "testA"]
    names = ["masterCategory", "subCategory", "articleType", "usage", "gender"]
    table = pa.table(
        {
            "id": [item.number for item in SHOP],
            **{name: [name] * 40 for name in names},
            "baseColour": [item.colour for item in SHOP],
            "productDisplayName": [item.title for item in SHOP],
            "split": [splits[i % 4] if i < 37 else "unused" for i in range(40)],
            "image": [{"bytes": item.jpeg, "path": ""} for item in SHOP],
        }
    )
    pq.write_table(table, folder / "photos.parquet")

    def write(split: str, numbers: list[int], queries: int) -> None:
        rows = [
            f"{query}\tred thing {query}\t{FIRST + number}"
            for query in range(queries)
            for number in numbers
        ]
        text = "\n".join(["query_id\tquery\tproduct_id", *rows, ""])
        (folder / f"{split}.pairs.tsv").write_text(text)

    write("train", [0, 1, 4, 5, 8], 3)
    write("valid", [2, 6, 10], 2)
    write("testA", [3, 7, 11], 2)
    answers = {str(query): [FIRST + 2] for query in range(2)}
    (folder / "valid_answer.json").write_text(json.dumps(answers))
    return folder


def test_photos_become_a_table_that_can_be_prepared(
    repository: Path, fashion: Path, tmp_path: Path
) -> None:
    script = repository / "scripts" / "fashion_photos.py"
    subprocess.run([sys.executable, script, fashion, tmp_path / "shop"], check=True)
    shop = tmp_path / "shop"
    data = prepare_photos(
        shop / "products.parquet",
        tmp_path / "data",
        "title",
        shop / "clicks.tsv",
        [shop / "valid.tsv", shop / "testA.tsv"],
        split_column="split",
        workers=1,
    )
    assert len(data.products) == 37
    assert data.products[0] == str(FIRST)
    assert data.splits == ["train", "valid", "testA"]
    assert len(data.pairs()) == 15
    assert data.qrels("valid").relevance["1"] == {str(FIRST + 2): 1}
    assert not data.has_qrels("testA")
    assert data.fields is not None
    assert {"title", "baseColour", "gender"} <= set(data.fields.column_names)


@pytest.mark.parametrize("quick", [False, True])
def test_the_commands_in_order(
    repository: Path, fashion: Path, tmp_path: Path, quick: bool
) -> None:
    folder, log, out = tmp_path / "bin", tmp_path / "log", tmp_path / "out"
    folder.mkdir()
    for name, body in {
        "shopsight": f'echo "$@" >> {log}',
        "python": f'case "$1" in *check_expected.py) echo check "$2" "$3" "$4" >> {log};;'
        f' *) exec {sys.executable} "$@";; esac',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    command = ["bash", repository / "scripts" / "reproduce_photos.sh", fashion, out]
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    options = ["--quick"] if quick else []
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    prepare, train, *check = log.read_text().splitlines()
    assert prepare.startswith(f"prepare photos {out}/shop/products.parquet --out {out}/data ")
    assert f"--pools {out}/shop/valid.tsv {out}/shop/testA.tsv --learn --learning.sizes" in prepare
    assert train.startswith(f"train {out}/data --recipe fashion-photos --out {out}/run")
    assert ("--stages photo-label dual" in train) == quick
    assert check == ([] if quick else [f"check fashion-photos {out}/data {out}/run"])
    assert (out / "shop" / "clicks.tsv").is_file()
