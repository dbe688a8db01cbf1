"""``shopsight prepare photos`` and ``prepare merge``, as they are typed."""

from __future__ import annotations

import json

import pytest

from photoshop import items, write_csv
from shopsight.cli.main import main
from shopsight.regions.factory import region_source

SHOP = items(60)
ASKED = ["--word-products", "3", "--word-fraction", "0", "--workers", "1", "--max-regions", "2"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return str(write_csv(tmp_path_factory.mktemp("shop"), SHOP))


@pytest.fixture(scope="module")
def data(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "data"
    command = ["prepare", "photos", table, "--text", "title", "--out", str(out), "--quiet"]
    assert main([*command, *ASKED]) == 0
    return out


def test_it_says_what_it_made(table, tmp_path, capsys):
    out = str(tmp_path / "data")
    assert main(["prepare", "photos", table, "--text", "title", "--out", out, *ASKED]) == 0
    printed = capsys.readouterr().out
    assert "60 products" in printed
    assert "train: " in printed
    assert "extracting at " in printed


def test_json_is_the_description(table, tmp_path, capsys):
    out = tmp_path / "data"
    command = ["prepare", "photos", table, "--out", str(out), "--json", *ASKED]
    assert main(command) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "data.json").read_text())
    assert printed["extractor"]["name"] == "classic"
    assert printed["extractor"]["max_regions"] == 2


def test_its_pools_pass_the_audit(data, capsys):
    for split in ("valid", "testA"):
        assert main(["audit", str(data), "--split", split, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["leaks"] is False
        assert report["structure"]["repeated_in_pool"] == []


def test_a_saved_extractor_describes_another_catalogue(data, table, tmp_path):
    out = tmp_path / "again"
    command = ["prepare", "photos", table, "--out", str(out), "--quiet", *ASKED]
    assert main([*command, "--extractor", str(data)]) == 0
    for name in ("features-00000.npy", "extractor/settings.json"):
        assert (out / name).read_bytes() == (data / name).read_bytes()
    about = json.loads((out / "data.json").read_text())["extractor"]
    assert about["name"] == "saved"
    assert region_source(str(data)).settings == region_source(str(data / "extractor")).settings


def test_shards_are_merged(table, data, tmp_path, capsys):
    parts = [str(tmp_path / f"part{i}") for i in (1, 2)]
    command = ["prepare", "photos", table, "--text", "title", *ASKED]
    assert main([*command, "--out", parts[0], "--shard", "1/2"]) == 0
    assert "shard 1/2, 30 products" in capsys.readouterr().out
    assert main([*command, "--out", parts[1], "--shard", "2/2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shard"] == [2, 2]
    out = tmp_path / "merged"
    assert main(["prepare", "merge", *parts, "--out", str(out)]) == 0
    assert "60 products" in capsys.readouterr().out
    assert (out / "data.json").read_bytes() == (data / "data.json").read_bytes()


def test_a_bad_photo_is_one_sentence_with_its_id(tmp_path, capsys):
    table = write_csv(tmp_path / "shop", SHOP)
    (table.parent / "photos" / "00007.jpg").write_bytes(b"<html>")
    command = ["prepare", "photos", str(table), "--out", str(tmp_path / "data"), *ASKED]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "column image: product '00007': not a photo (it begins with b'<html>')" in error
    assert error.count("\n") == 1
    assert main([*command, "--on-error", "skip"]) == 0
    printed = capsys.readouterr().out
    assert "table: skipped 1, not a photo" in printed
    assert "skipped.tsv" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["shop.csv"], "arguments are required: --out"),
        (["nowhere.csv", "--out", "data"], "nowhere.csv: no such file"),
        (["shop.csv", "--out", "data", "--text", "titel"], "did you mean 'title'?"),
        (["shop.csv", "--out", "data", "--id", "code"], "unknown column of --id, 'code'"),
        (["shop.csv", "--out", "data", "--extractor", "clasic"], "clasic"),
        (["shop.csv", "--out", "data", "--extractor", "features"], "column of --features"),
        (["shop.csv", "--out", "data", "--clicks", "none.tsv"], "none.tsv: no such file"),
        (["shop.csv", "--out", "data", "--shard", "3/2"], "--shard must be I/N, such as 1/4"),
        (["shop.csv", "--out", "data", "--shard", "1/2", "--learn"], "--learn needs the whole"),
        (["shop.csv", "--out", "data", "--shard", "1/2", "--clicks", "x"], "belongs to shopsight"),
        (
            ["shop.csv", "--out", "data", "--learn", "--extractor", "hf:x"],
            "--learn trains its own extractor",
        ),
        (["shop.csv", "--out", "data", "--lern"], "did you mean '--learn'?"),
        (["shop.csv", "--out", "data", "--photo-side", "1"], "photo_side must be from 16"),
    ],
)
def test_wrong_calls_are_one_sentence_and_exit_2(
    tmp_path, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path, SHOP[:3])
    assert main(["prepare", "photos", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("shopsight: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "data.partial").exists()


def test_merge_refuses_what_is_no_shard(data, tmp_path, capsys):
    assert main(["prepare", "merge", str(data), "--out", str(tmp_path / "out")]) == 2
    reason = f"{data}: not a shard (data.json has another format)"
    assert capsys.readouterr().err == f"shopsight: {reason}\n"


def test_help_shows_examples(capsys):
    for kind in ("photos", "merge"):
        with pytest.raises(SystemExit) as stop:
            main(["prepare", kind, "--help"])
        assert stop.value.code == 0
        assert f"shopsight prepare {kind} " in capsys.readouterr().out


def test_ctrl_c_names_the_way_to_resume(monkeypatch, tmp_path, capsys):
    from shopsight.prepare.photos import ingest

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ingest, "prepare_photos", interrupted)
    assert main(["prepare", "photos", "x.csv", "--out", str(tmp_path / "data")]) == 130
    assert "repeat the command to resume" in capsys.readouterr().err
