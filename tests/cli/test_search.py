"""``shopsight index | search | tag | bench search``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shopsight.cli.main import main
from shopsight.data.dataset import PreparedData

Trained = tuple[Path, str]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def index(trained: Trained, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "index"
    assert (
        main(["index", "build", str(trained[0]), str(small_data), "--out", str(folder), "--quiet"])
        == 0
    )
    return folder


def test_index_subcommands(
    trained: Trained, small_data: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = str(tmp_path / "index")
    command = ["index", "build", str(trained[0]), str(small_data), "--out", out]
    assert main([*command, "--precision", "int8", "--regions", "false"]) == 0
    assert "654 products in 1 segment, generation 1" in capsys.readouterr().out
    first, second = PreparedData.open(small_data).store.product_ids[:2]
    assert main(["index", "remove", out, first, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["products"], printed["generation"]) == (653, 2)
    (tmp_path / "ids.txt").write_text(f"{second}\n\n")
    assert main(["index", "remove", out, "--from", str(tmp_path / "ids.txt"), "--quiet"]) == 0
    assert main(["index", "update", out, str(small_data)]) == 0
    assert main(["index", "compact", out]) == 0
    assert main(["index", "check", out]) == 0
    assert "654 products in 1 segment, generation 5; all checksums match" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--check", "INDEX"], "unknown index subcommand '--check'; did you mean 'check'?"),
        (["build", "RUN", "DATA"], "these arguments are required: --out"),
        (["build", "RUN", "DATA", "--out", "INDEX"], "already an index; change it with"),
        (
            ["build", "RUN", "DATA", "--out", "x", "--candidates", "0"],
            "candidates must be at least 1",
        ),
        (["check", "DATA"], "not an index (no index.json)"),
        (["stats", "DATA"], "not an index (no index.json)"),
        (["add", "INDEX", "DATA"], "already exists; use `shopsight index update`"),
        (["add", "INDEX", "RUN"], "not a prepared folder"),
        (["remove", "INDEX"], "give product ids, or --from FILE"),
        (["remove", "INDEX", "nothing"], "no product 'nothing' in the index"),
        (["remove", "INDEX", "--from", "nowhere"], "nowhere: no such file"),
        (["load", "INDEX", "--engine", "http://127.0.0.1:9"], "127.0.0.1:9"),
    ],
)
def test_index_errors(
    words: list[str], sentence: str, index: Path, trained: Trained, small_data: Path,
    capsys: Capture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("shopsight.search.retrievers.milvus._TIMEOUT", 1.0)
    places = {"RUN": str(trained[0]), "DATA": str(small_data), "INDEX": str(index)}
    assert main(["index", *(places.get(word, word) for word in words)]) == 2
    assert sentence in capsys.readouterr().err


def test_search_prints_a_table_and_why(index: Path, capsys: Capture) -> None:
    assert main(["search", str(index), "small zzyzx shoe", "-k", "3", "--explain"]) == 0
    printed = capsys.readouterr().out
    assert "matching products; encode" in printed
    assert "Not in any training query: zzyzx" in printed
    assert "zzyzx (unknown)" in printed
    assert printed.count("weight") == 3


def test_search_prints_json(index: Path, capsys: Capture) -> None:
    assert main(["search", str(index), "small shoe \udcff", "-k", "2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (len(printed["hits"]), printed["query"]) == (2, "small shoe \ufffd")
    first = printed["hits"][0]
    assert sum(first["contributions"].values()) == pytest.approx(first["score"])
    command = ["search", str(index), "--like", first["product_id"], "--json"]
    assert main(command) == 0
    similar = json.loads(capsys.readouterr().out)
    assert first["product_id"] not in [hit["product_id"] for hit in similar["hits"]]
    assert main(["search", str(index), "x", "--no-rerank", "--candidates", "5", "--json"]) == 0
    assert "rerank" not in json.loads(capsys.readouterr().out)["seconds"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give a query, or --like PRODUCT, or --photo FILE"),
        (["x", "--like", "3"], "give a query, or --like"),
        (["x", "-k", "0"], "-k and --candidates must be at least 1"),
        (["x", "--threads", "0"], "--threads must be at least 1"),
        (["x", "--filter", "price"], "invalid filter 'price'"),
        (["x", "--filter", "price=1"], "have no fields"),
        (["x", "--filter", "a=1", "--filter", "a>2"], "no fields to filter by"),
        (["--like", "nothing"], "no product 'nothing' in the index"),
        (["--photo", "nowhere.jpg"], "nowhere.jpg: no such file"),
        (["x", "--engine", "ftp://x"], "unknown engine 'ftp://x'"),
    ],
)
def test_search_errors(words: list[str], sentence: str, index: Path, capsys: Capture) -> None:
    assert main(["search", str(index), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_photo_needs_an_extractor(index: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    assert main(["search", str(index), "--photo", str(tmp_path / "photo.jpg")]) == 2
    assert "this index does not support photo queries" in capsys.readouterr().err


def test_tag_writes_one_line_per_product(
    trained: Trained, small_data: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "tags.jsonl"
    command = ["tag", str(trained[0]), str(small_data), "--out", str(out), "--tags", "3"]
    assert main([*command, "--beam", "1", "--max-tokens", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["products"] == 654
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    store = PreparedData.open(small_data).store
    assert [row["product_id"] for row in rows] == store.product_ids
    assert all(1 <= len(row["tags"]) <= 3 for row in rows)
    assert all(0 < probability <= 1 for row in rows for _, probability in row["tags"])
    assert all(row["log_probability"] <= 0 for row in rows)
    assert main([*command, "--beam", "0"]) == 2


def test_bench_search_measures_a_grown_index(
    index: Path, small_data: Path, tmp_path: Path, capsys: Capture
) -> None:
    command = ["bench", "search", str(index), "--queries", "4", "--products", "3000", "--json"]
    assert main([*command, "--folder", str(tmp_path / "big")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["products"] == 3000
    assert printed["recall@200"] >= 0.99
    assert {"encode", "retrieve", "rank 50 again", "rank 200 again", "rank 1000 again"} <= set(
        printed["milliseconds"]
    )
    assert printed["bytes"]["codes of dual"] >= 3000 * 64
    assert main(["index", "check", str(tmp_path / "big")]) == 0
    capsys.readouterr()
    judged = ["bench", "search", str(index), "--queries", "2", "--data", str(small_data)]
    assert main([*judged, "--split", "testA"]) == 0
    table = capsys.readouterr().out
    assert "over the full catalogue" in table
    assert "every product" in table
    assert main(["bench", "search", str(index), "--queries", "0"]) == 2
