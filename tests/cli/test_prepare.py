import json
import subprocess
import sys

import pytest

from rawfile import many_rows, raw_bytes, write_raw
from shopsight.cli.main import main
from shopsight.data.dataset import PreparedData


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    write_raw(folder, "train", many_rows(80, 30, 20))
    write_raw(folder, "valid", many_rows(60, 25, 12, first_id=120))
    return folder


def test_prepare_says_what_it_made(raw, tmp_path, capsys):
    out = tmp_path / "data"
    assert main(["prepare", "kddcup", str(raw), "--out", str(out), "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "45 products" in printed
    assert "train: 80 rows, 20 queries, 30 products" in printed
    assert (out / "data.json").is_file()


def test_json_is_the_description(raw, tmp_path, capsys):
    out = tmp_path / "data"
    assert main(["prepare", "kddcup", str(raw), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "data.json").read_text())


def test_bad_rows_are_one_sentence_and_exit_2(raw, tmp_path, capsys):
    path = write_raw(raw, "valid", [*many_rows(10, 5, 5, first_id=120), b"junk"])
    out = tmp_path / "data"
    assert main(["prepare", "kddcup", str(raw), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error == f"shopsight: {path}, line 12: 1 column instead of 9\n"
    assert not out.exists()
    command = ["prepare", "kddcup", str(raw), "--out", str(out), "--on-error", "skip"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "valid: skipped 1, wrong column count; the first is" in printed
    assert "valid.tsv, line 12: 1 column instead of 9" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["kddcup", "raw"], "arguments are required: --out"),
        (["kddcup", "nowhere", "--out", "data"], "nowhere: no such file or folder"),
        (["kdd", "raw"], "unknown kind of preparation 'kdd'; did you mean 'kddcup'?"),
        (["--out", "data"], "name what to prepare first"),
        (["kddcup", "raw", "--out", "data", "--dtyp", "float32"], "did you mean '--dtype'?"),
        (["kddcup", "raw", "--out", "data", "--dtype", "int8"], "dtype"),
        (["kddcup", "raw", "--out", "data", "--workers", "two"], "workers"),
        (["kddcup", "raw", "--out", "data", "--workers", "-1"], "workers must be at least 0"),
        (["kddcup", "raw", "--out", "data", "--shard-mib", "0"], "shard_mib must be at least 1"),
        (["kddcup", "-", "--out", "data"], "name it with --splits NAME"),
        (["negatives", "nowhere"], "nowhere: not a prepared folder"),
    ],
)
def test_wrong_calls_are_one_sentence_and_exit_2(
    raw, tmp_path, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("shopsight: ")
    assert sentence in error
    assert error.count("\n") == 1


def test_help_lists_the_kinds_and_shows_examples(capsys):
    assert main(["prepare"]) == 0
    assert "kddcup" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["prepare", "kddcup", "--help"])
    assert stop.value.code == 0
    assert "shopsight prepare kddcup raw --out data\n" in capsys.readouterr().out


def test_rows_come_from_a_pipe(raw, tmp_path):
    command = [sys.executable, "-m", "shopsight.cli.main", "prepare", "kddcup", "-"]
    command += ["--splits", "train", "--out", str(tmp_path / "piped")]
    command += ["--labels", str(raw / "multimodal_labels.txt")]
    done = subprocess.run(command, input=raw_bytes(many_rows(80, 30, 20)), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"train: 80 rows" in done.stdout


def test_negatives_are_written_beside_the_data(raw, tmp_path, capsys):
    out = tmp_path / "data"
    assert main(["prepare", "kddcup", str(raw), "--out", str(out), "--quiet"]) == 0
    assert main(["prepare", "negatives", str(out), "--clusters", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["queries"] == 20
    saved = json.loads((out / "negatives" / "negatives.json").read_text())
    assert printed.items() <= saved.items()
    # the prepared folder is still whole: negatives are beside the data, not part of it
    assert main(["prepare", "negatives", str(out), "--quiet"]) == 0


def test_bench_prints_its_figures(raw, tmp_path, capsys):
    command = ["bench", "data", "--raw", str(raw), "--folder", str(tmp_path), "--json"]
    assert main(command) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["preparing, all of it"][1] == "MB/s"
    assert all(value > 0 for value, _ in figures.values())
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("content", "stop"),
    [(None, set()), ("# comment\n#\nMen\n\nthe\r\n", {"men", "the", "-", "'", "s"})],
)
def test_stop_words_are_an_option(small_world, tmp_path, content, stop):
    out, file = tmp_path / "data", tmp_path / "stop.txt"
    if content:
        file.write_text(content)
    words = str(file) if content else "none"
    command = ["prepare", "kddcup", str(small_world), "--out", str(out), "--workers", "1"]
    assert main([*command, "--quiet", "--stop-words", words]) == 0
    vocabulary = PreparedData.open(out).vocabulary()
    assert vocabulary.stop == stop
    (kept,) = vocabulary.encode(["the armchair of men"])
    assert ("the" in [vocabulary.tokens[i] for i in kept]) == ("the" not in stop)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"the\nof the\n", "stop.txt: 'of the' is more than one word; write one a line"),
        (b"# nothing\n\n", "stop.txt: no stop word in it; --stop-words none leaves none out"),
        (b"", "stop.txt: the file is empty"),
        (b"\xff\x00\x81", "stop.txt"),
        (None, "stop.txt: no such file or directory"),
    ],
)
def test_bad_stop_words_end_before_any_work(small_world, tmp_path, capsys, content, sentence):
    out, file = tmp_path / "data", tmp_path / "stop.txt"
    if content is not None:
        file.write_bytes(content)
    command = ["prepare", "kddcup", str(small_world), "--out", str(out)]
    assert main([*command, "--stop-words", str(file)]) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()
