"""Given candidate pools: taken as they are, with their answers, or rejected in one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from photoshop import items, means, settings, write_csv
from shopsight.cli.main import main
from shopsight.config import PhotoColumnsConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import InputError, OutputError, UsageError
from shopsight.prepare.photos.given_pools import QueryInputs
from shopsight.prepare.photos.ingest import prepare_photos
from shopsight.prepare.photos.settings import PhotosSettings

SHOP = items(30)
SPLITS = ["train", "train", "valid", "testA"]
VALID = [("q1", "red  thing", 2), ("q1", "red  thing", 6), ("q0", "blue bag", 10)]


def write(path: Path, rows: Sequence[tuple[str, str, Any]]) -> Path:
    ids = [product if isinstance(product, str) else SHOP[product].id for _, _, product in rows]
    lines = [f"{row[0]}\t{row[1]}\t{product}" for row, product in zip(rows, ids, strict=True)]
    path.write_text("\n".join(["query_id\tquery\tproduct_id", *lines, ""]))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table = write_csv(tmp_path, [*SHOP])
    header, *lines = table.read_text().splitlines()
    rows = [f"split,{header}"]
    number = 0
    for line in lines:
        is_first = line.startswith("photos/")
        rows.append(f"{SPLITS[number % 4]},{line}" if is_first else line)
        number += is_first
    table.write_text("\n".join(rows) + "\n")
    clicks = [f"{item.colour} {item.kind}\t{item.id}" for item in SHOP]
    (tmp_path / "clicks.tsv").write_text("\n".join(["query\tproduct_id", *clicks]))
    write(tmp_path / "valid.pairs.tsv", VALID)
    write(tmp_path / "testA.tsv", [("t", "blue bag", 3), ("t", "blue bag", 7)])
    answers = {"q1": [SHOP[6].id], "q0": [SHOP[10].id]}
    (tmp_path / "valid_answer.json").write_text(json.dumps(answers))
    return tmp_path


def prepared(folder: Path, *pools: str, column: str = "split") -> PreparedData:
    changed = PhotosSettings(
        settings().photos, PhotoColumnsConfig(split_column=column), queries=settings().queries
    )
    files = [folder / name for name in pools or ("valid.pairs.tsv", "testA.tsv")]
    queries = QueryInputs.read(folder / "clicks.tsv", files)
    return prepare_photos(folder / "shop.csv", folder / "data", means(), changed, queries=queries)


def test_pools_and_answers_are_taken_as_they_are(folder: Path) -> None:
    data = prepared(folder)
    assert data.splits == ["train", "valid", "testA"]
    assert data.pools("valid").to_dict() == {
        "q1": [SHOP[2].id, SHOP[6].id],
        "q0": [SHOP[10].id],
    }
    assert data.queries("valid").texts == ["red  thing", "blue bag"]
    assert data.qrels("valid").relevance == {"q1": {SHOP[6].id: 1}, "q0": {SHOP[10].id: 1}}
    assert not data.has_qrels("testA")
    products = [item for i, item in enumerate(SHOP) if SPLITS[i % 4] == "train"]
    pairs, queries = data.pairs(), data.queries("train")
    rows = zip(pairs.queries.tolist(), pairs.products.tolist(), strict=True)
    clicked = {(queries.texts[query], data.products[product]) for query, product in rows}
    assert clicked == {(f"{item.colour} {item.kind}", item.id) for item in products}
    assert not set(queries.ids) & {"q1", "q0", "t"}


def test_queries_that_are_also_trained_on_are_counted(folder: Path) -> None:
    item = SHOP[4]
    write(folder / "valid.pairs.tsv", [("q1", f"{item.kind} {item.colour}", 2)])
    (folder / "valid_answer.json").write_text(json.dumps({"q1": [SHOP[2].id]}))
    data = prepared(folder)
    assert "valid: 1 query of the given pools also in train" in data.manifest["warnings"]
    assert f"{item.colour} {item.kind}" in data.queries("train").texts


def test_other_pools_are_another_preparation(folder: Path) -> None:
    first = prepared(folder).manifest["files"]
    assert prepared(folder).manifest["files"] == first  # nothing to do
    (folder / "valid_answer.json").write_text(json.dumps({"q1": [SHOP[2].id]}))
    with pytest.raises(OutputError, match="prepared from other files"):
        prepared(folder)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("q", "red", "99999")], "valid.tsv: candidate '99999' is not in the table"),
        ([("q", "red", 1)], r"candidate '00001' is a training product \(--split-column\)"),
        ([("q", " ", 2)], "valid.tsv: query 'q' has no text"),
        ([], "no candidates below the header"),
        ([("q", "red", "")], "line 2"),
    ],
)
def test_invalid_pools_are_rejected(folder: Path, rows: Any, message: str) -> None:
    write(folder / "valid.tsv", rows)
    with pytest.raises(InputError, match=message):
        prepared(folder, "valid.tsv")
    assert not (folder / "data").exists()


def test_invalid_files_are_rejected(folder: Path) -> None:
    write(folder / "valid.tsv", VALID)
    write(folder / "candidates.tsv", VALID)
    with pytest.raises(UsageError, match="two files of split valid"):
        prepared(folder, "valid.tsv", "valid.pairs.tsv")
    with pytest.raises(UsageError, match="must begin with its split"):
        prepared(folder, "candidates.tsv")
    (folder / "valid.tsv").write_text("query_id\tproduct_id\nq\t00002\n")
    with pytest.raises(InputError, match="no column 'query'"):
        prepared(folder, "valid.tsv")
    with pytest.raises(UsageError, match="--pools needs --split-column"):
        prepared(folder, column="")
    (folder / "valid_answer.json").write_text('{"q1": ["0000')
    with pytest.raises(InputError, match=r"valid_answer.json"):
        prepared(folder)


def test_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["prepare", "photos", str(folder / "shop.csv"), "--out", str(folder / "out")]
    command += ["--text", "title", "--split-column", "split", "--workers", "1"]
    command += ["--pools", str(folder / "valid.pairs.tsv")]
    assert main([*command, "--shard", "1/2"]) == 2
    assert "--pools needs the whole catalogue" in capsys.readouterr().err
    assert main(command) == 0
    assert PreparedData.open(folder / "out").splits == ["train", "valid"]
