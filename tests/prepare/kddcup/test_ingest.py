import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

from rawfile import HEADER, FakeStdin, RawRow, encode, many_rows, raw_bytes, read_naively, write_raw
from shopsight.config import KddcupConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import DataError, InputError, OutputError, UsageError
from shopsight.prepare.journal import Journal
from shopsight.prepare.kddcup.ingest import prepare_kddcup

SINGLE = KddcupConfig(workers=1)
SKIP = KddcupConfig(workers=1, on_error="skip")


def stages_into(stages):
    return lambda stage, *_: stages.append(stage)


def tree(folder):
    """Every file's content below a folder, hashed."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    write_raw(folder, "train", many_rows(80, 30, 20))
    write_raw(folder, "valid", many_rows(60, 25, 12, first_id=120))
    answers = {"1000": [120, 125], "1001": [122]}
    (folder / "valid" / "valid_answer.json").write_text(json.dumps(answers))
    return folder


def assert_equals_naive_reading(data, path, split):
    """Assert that the prepared split equals the naive reading of its raw file."""
    products, pairs = read_naively(path)
    store = data.store
    index = store.index_of(list(products))
    batch = store.read(index)
    np.testing.assert_array_equal(
        batch.lengths, [len(product.labels) for product in products.values()]
    )
    features = np.vstack([product.features for product in products.values()])
    np.testing.assert_array_equal(batch.features, features.astype(store.dtype))
    labels = np.concatenate([product.labels for product in products.values()])
    np.testing.assert_array_equal(batch.labels, labels)
    for boxes, product in zip(
        np.split(batch.boxes, np.cumsum(batch.lengths)[:-1]), products.values(), strict=True
    ):
        height, width = product.size
        top, left, bottom, right = (product.boxes / [height, width, height, width]).T
        area = (bottom - top) * (right - left)
        np.testing.assert_allclose(boxes, np.stack([top, left, bottom, right, area], 1), rtol=1e-5)
    queries = data.queries(split)
    assert queries.ids == list(dict.fromkeys(query for query, _, _ in pairs))
    assert dict(zip(queries.ids, queries.texts, strict=True)) == {q: text for q, text, _ in pairs}
    if split == "train":
        train = data.pairs()
        ids = [
            (queries.ids[q], store.product_ids[p])
            for q, p in zip(train.queries, train.products, strict=True)
        ]
        assert ids == [(query, product) for query, _, product in pairs]
    else:
        pools = data.pools(split)
        expected = {}
        for query, _, product in pairs:
            if product not in expected.setdefault(query, []):
                expected[query].append(product)
        assert {query: pools.of(query) for query in pools.query_ids} == expected


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_prepared_data_equals_the_naive_reader(raw, tmp_path, dtype):
    data = prepare_kddcup(raw, tmp_path / "data", KddcupConfig(workers=2, dtype=dtype))
    for split in ("train", "valid"):
        assert_equals_naive_reading(data, raw / split / f"{split}.tsv", split)
    qrels = data.qrels("valid")
    assert {q: set(g) for q, g in qrels.relevance.items()} == {
        "1000": {"120", "125"},
        "1001": {"122"},
    }
    assert not (tmp_path / "data.partial").exists()


def test_data_json_explains_itself(raw, tmp_path):
    data = prepare_kddcup(raw, tmp_path / "data", SINGLE)
    summary = data.manifest
    products = {
        row.product_id: row
        for row in [*many_rows(80, 30, 20), *many_rows(60, 25, 12, first_id=120)]
    }
    assert summary["products"] == len(products) == len(data.store)
    assert summary["splits"]["train"] == {"rows": 80, "queries": 20, "products": 30}
    assert summary["splits"]["valid"]["answered_queries"] == 2
    assert summary["regions"]["total"] == sum(row.regions for row in products.values())
    assert summary["skipped"] == {}
    assert any("10 queries have no answer" in warning for warning in summary["warnings"])
    assert str(tmp_path) not in json.dumps(summary)
    on_disk = {name for name in tree(data.path) if name != "data.json"}
    assert set(summary["files"]) == on_disk
    data.verify()


def test_each_product_is_stored_once_across_splits(raw, tmp_path):
    data = prepare_kddcup(raw, tmp_path / "data", SINGLE)
    assert len(set(data.store.product_ids)) == len(data.store.product_ids) == 45


def test_vocabulary_is_trained_on_the_training_queries(raw, tmp_path):
    data = prepare_kddcup(raw, tmp_path / "data", SINGLE)
    assert "query" in data.vocabulary().tokens


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_bytes_do_not_depend_on_the_number_of_threads(raw, tmp_path, workers, monkeypatch):
    monkeypatch.setattr("shopsight.prepare.kddcup.line_reader.CHUNK_BYTES", 1 << 12)
    prepare_kddcup(raw, tmp_path / "single", SINGLE)
    prepare_kddcup(raw, tmp_path / "many", KddcupConfig(workers=workers))
    assert tree(tmp_path / "single") == tree(tmp_path / "many")


def test_gzip_and_flat_folders_and_single_files_give_the_same_store(raw, tmp_path):
    plain = prepare_kddcup(raw, tmp_path / "plain", SINGLE, splits=("valid",))
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "multimodal_labels.txt").write_bytes((raw / "multimodal_labels.txt").read_bytes())
    (flat / "valid_answer.json").write_bytes((raw / "valid" / "valid_answer.json").read_bytes())
    content = (raw / "valid" / "valid.tsv").read_bytes()
    (flat / "valid.tsv.gz").write_bytes(gzip.compress(content))
    zipped = prepare_kddcup(flat, tmp_path / "zipped", SINGLE)
    single = prepare_kddcup(raw / "valid" / "valid.tsv", tmp_path / "single", SINGLE)
    assert plain.manifest["files"] == zipped.manifest["files"] == single.manifest["files"]


def test_a_single_file_has_the_split_that_is_named(raw, tmp_path):
    plain = prepare_kddcup(raw, tmp_path / "plain", SINGLE, splits=("train",))
    sample = tmp_path / "elsewhere" / "clicks sample.txt"
    sample.parent.mkdir()
    sample.write_bytes((raw / "train" / "train.tsv").read_bytes())
    labels = raw / "multimodal_labels.txt"
    data = prepare_kddcup(sample, tmp_path / "data", SINGLE, splits=("train",), labels=labels)
    assert data.manifest["files"] == plain.manifest["files"]
    for splits in (("train", "valid"), ("a/b",), ("..",)):
        with pytest.raises(UsageError, match="is a single split: name it with --splits NAME"):
            prepare_kddcup(sample, tmp_path / "other", SINGLE, splits=splits)


def test_a_single_file_of_an_unknown_split_is_noted(raw, tmp_path):
    sample = raw / "train" / "train.sample.tsv"
    (raw / "train" / "train.tsv").rename(sample)
    data = prepare_kddcup(sample, tmp_path / "data", SINGLE)
    note = "'train.sample' is not the train split: its rows are candidates (--splits NAME names"
    assert any(warning.startswith(note) for warning in data.manifest["warnings"])


def test_standard_input_is_a_source(raw, tmp_path, monkeypatch):
    plain = prepare_kddcup(raw, tmp_path / "plain", SINGLE, splits=("train",))
    content = (raw / "train" / "train.tsv").read_bytes()
    monkeypatch.setattr(sys, "stdin", FakeStdin(content))
    labels = raw / "multimodal_labels.txt"
    piped = prepare_kddcup("-", tmp_path / "piped", SINGLE, splits=("train",), labels=labels)  # type: ignore[arg-type]
    assert piped.manifest["files"] == plain.manifest["files"]


@pytest.mark.parametrize("splits", [(), ("train", "valid"), ("../x",)])
def test_standard_input_needs_one_split_name(tmp_path, splits):
    with pytest.raises(UsageError, match="name it with --splits NAME"):
        prepare_kddcup("-", tmp_path / "data", SINGLE, splits=splits)


def test_standard_input_never_counts_as_already_prepared(raw, tmp_path, monkeypatch):
    out = tmp_path / "data"
    for content in (many_rows(20, 5, 5), many_rows(30, 6, 5)):
        piped = FakeStdin(raw_bytes(content))
        monkeypatch.setattr(sys, "stdin", piped)
        if out.exists():
            with pytest.raises(OutputError, match="standard input may differ"):
                prepare_kddcup("-", out, SINGLE, splits=("valid",))
            prepare_kddcup("-", out, SINGLE, splits=("valid",), force=True)
        else:
            prepare_kddcup("-", out, SINGLE, splits=("valid",))
    assert PreparedData.open(out).manifest["products"] == 6


def test_bom_crlf_and_a_missing_last_line_end_change_nothing(raw, tmp_path):
    plain = prepare_kddcup(raw, tmp_path / "plain", SINGLE)
    for split in ("train", "valid"):
        path = raw / split / f"{split}.tsv"
        content = path.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + content)
    odd = prepare_kddcup(raw, tmp_path / "odd", SINGLE)
    assert odd.manifest["files"] == plain.manifest["files"]
    assert "train: the last line has no line end" in odd.manifest["warnings"]


def test_shard_size_changes_nothing(raw, tmp_path, monkeypatch):
    plain = prepare_kddcup(raw, tmp_path / "plain", SINGLE)
    monkeypatch.setattr("shopsight.prepare.region_writer.MIB", 20)
    sharded = prepare_kddcup(raw, tmp_path / "sharded", KddcupConfig(workers=1, shard_mib=2))
    shards = sorted(sharded.path.glob("features-*.npy"))
    assert len(shards) > 5
    everything = np.arange(len(plain.store))
    rng = np.random.default_rng(0)
    for products in (everything, rng.permutation(everything), rng.integers(0, 45, 100)):
        expected, regions = plain.store.read(products), sharded.store.read(products)
        np.testing.assert_array_equal(regions.features, expected.features)
        np.testing.assert_array_equal(regions.boxes, expected.boxes)


BAD_FILES = {
    "empty": (b"", "empty", "the file is empty"),
    "only header": (HEADER, "empty", "the file has no rows after its header"),
    "no header": (raw_bytes([RawRow()])[len(HEADER) :], "header", "the header row is missing"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_stop_or_are_skipped(raw, tmp_path, name):
    content, kind, reason = BAD_FILES[name]
    (raw / "valid" / "valid.tsv").write_bytes(content)
    with pytest.raises(InputError, match=rf"valid\.tsv.*: {reason}"):
        prepare_kddcup(raw, tmp_path / "data", SINGLE)
    assert not list(tmp_path.glob("data*"))
    data = prepare_kddcup(raw, tmp_path / "data", SKIP)
    assert data.splits == ["train"]
    assert data.manifest["skipped"]["valid"][kind]["count"] == 1
    assert reason in data.manifest["skipped"]["valid"][kind]["first"]


def with_conflicts(rows):
    changed = RawRow(product_id=101, regions=2, seed=99)
    return [*rows[:20], changed, *rows[20:], changed]


def test_changed_product_stops_or_is_skipped(raw, tmp_path):
    path = write_raw(raw, "train", with_conflicts(many_rows(80, 30, 20)))
    sentence = r"train\.tsv, line 22, column features: product 101 appeared before with other"
    with pytest.raises(InputError, match=sentence):
        prepare_kddcup(raw, tmp_path / "data", SINGLE)
    data = prepare_kddcup(raw, tmp_path / "data", SKIP)
    entry = data.manifest["skipped"]["train"]["conflict"]
    assert entry["count"] == 2
    assert entry["first"].startswith("train.tsv, line 22")
    assert data.manifest["splits"]["train"]["rows"] == 80
    write_raw(raw, "train", many_rows(80, 30, 20))
    assert_equals_naive_reading(data, path, "train")


def test_product_that_changes_in_a_later_split_is_found(raw, tmp_path):
    write_raw(raw, "valid", [RawRow(product_id=101, seed=99)])
    with pytest.raises(InputError, match=r"valid\.tsv, line 2, column features: product 101"):
        prepare_kddcup(raw, tmp_path / "data", SINGLE)


def test_bad_rows_stop_at_the_first(raw, tmp_path):
    rows = many_rows(80, 30, 20)
    bad = RawRow(columns={"boxes": encode(np.zeros(8, "<f4"))})
    write_raw(raw, "train", [*rows[:30], bad, b"x", *rows[30:]])
    with pytest.raises(InputError, match=r"train\.tsv, line 32, column boxes: box .* no area"):
        prepare_kddcup(raw, tmp_path / "data", KddcupConfig(workers=2))
    assert not list(tmp_path.glob("data*"))


def test_bad_rows_are_skipped_and_counted_by_kind(raw, tmp_path):
    rows = many_rows(80, 30, 20)
    bad = RawRow(product_id=7, columns={"features": b"AAAA"})
    path = write_raw(raw, "train", [b"x", *rows[:30], bad, b"y\tz", *rows[30:], bad])
    data = prepare_kddcup(raw, tmp_path / "data", SKIP)
    skipped = data.manifest["skipped"]["train"]
    assert {kind: entry["count"] for kind, entry in skipped.items()} == {"columns": 2, "length": 2}
    assert skipped["columns"]["first"] == "train.tsv, line 2: 1 column instead of 9"
    assert skipped["length"]["first"].startswith("train.tsv, line 33, column features")
    write_raw(raw, "train", rows)
    assert_equals_naive_reading(data, path, "train")


def test_no_valid_row_raises(tmp_path):
    write_raw(tmp_path / "raw", "train", [b"x", b"y"])
    with pytest.raises(InputError, match="no valid row, nothing to prepare"):
        prepare_kddcup(tmp_path / "raw", tmp_path / "data", SKIP)


def test_query_id_with_another_text_keeps_the_first_and_warns(raw, tmp_path):
    write_raw(raw, "train", [RawRow(query=b"first"), RawRow(query=b"second", product_id=2, seed=2)])
    data = prepare_kddcup(raw, tmp_path / "data", SINGLE)
    assert data.queries("train").texts == ["first"]
    warning = "train: 1 row repeats a query id with another text; the first text is kept"
    assert warning in data.manifest["warnings"]


def test_answers_outside_the_pools_are_reported(raw, tmp_path):
    (raw / "valid" / "valid_answer.json").write_text('{"1000": [120, 999], "77": [120]}')
    warnings = prepare_kddcup(raw, tmp_path / "data", SINGLE).manifest["warnings"]
    assert "valid: 1 answered queries are not in the pools" in warnings
    assert "valid: 2 answers are not in their query's pool" in warnings


def test_broken_answers_raise(raw, tmp_path):
    (raw / "valid" / "valid_answer.json").write_text('{"1000": [120')
    with pytest.raises(InputError, match=r"valid_answer\.json"):
        prepare_kddcup(raw, tmp_path / "data", SINGLE)


def test_the_same_call_again_changes_nothing(raw, tmp_path):
    prepare_kddcup(raw, tmp_path / "data", SINGLE)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    prepare_kddcup(raw, tmp_path / "data", KddcupConfig(workers=2))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_an_existing_folder_is_replaced_only_by_force(raw, tmp_path):
    out = tmp_path / "data"
    prepare_kddcup(raw, out, SINGLE)
    with pytest.raises(OutputError, match="prepared from other files or with other settings"):
        prepare_kddcup(raw, out, KddcupConfig(workers=1, dtype="float32"))
    forced = prepare_kddcup(raw, out, KddcupConfig(workers=1, dtype="float32"), force=True)
    assert forced.store.dtype == np.float32
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(OutputError, match="exists and is not a prepared folder"):
        prepare_kddcup(raw, tmp_path / "mine", SINGLE)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_force_replaces_prepared_folders_only(raw, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("keep")
    for out, reason in (
        (mine, "not a prepared folder"),
        (raw, "contains the raw files themselves"),
        (tmp_path, "contains the raw files themselves"),
        (mine / "thesis.txt", "a file of this name exists"),
    ):
        with pytest.raises(OutputError, match=reason):
            prepare_kddcup(raw, out, SINGLE, force=True)
    assert (mine / "thesis.txt").read_text() == "keep"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "raw"]


@pytest.mark.parametrize("out", ["", ".", "..", "/"])
def test_out_must_be_the_name_of_a_folder(raw, out, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="is not the name of a new folder"):
        prepare_kddcup(raw, out, SINGLE)


def test_an_empty_folder_is_taken(raw, tmp_path):
    (tmp_path / "data").mkdir()
    assert prepare_kddcup(raw, tmp_path / "data", SINGLE).manifest["products"] == 45


def test_a_damaged_folder_can_be_replaced(raw, tmp_path):
    out = tmp_path / "data"
    prepare_kddcup(raw, out, SINGLE)
    (out / "labels.npy").unlink()
    with pytest.raises(OutputError, match="missing; replace it with --force"):
        prepare_kddcup(raw, out, SINGLE)
    prepare_kddcup(raw, out, SINGLE, force=True).verify()


CHANGES = {
    "a byte in the middle": lambda raw: flip(raw / "train" / "train.tsv"),
    "the answers": lambda raw: (raw / "valid" / "valid_answer.json").write_text('{"1000": [125]}'),
    "no answers": lambda raw: (raw / "valid" / "valid_answer.json").unlink(),
    "the labels": lambda raw: append(raw / "multimodal_labels.txt", "33\tlabel 33\n"),
}


def flip(path):
    content = bytearray(path.read_bytes())
    start = content.index(b"query 7")
    content[start : start + 7] = b"query X"
    path.write_bytes(content)


def append(path, text):
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_noticed(raw, tmp_path, change):
    out = tmp_path / "data"
    before = prepare_kddcup(raw, out, SINGLE).manifest
    CHANGES[change](raw)
    with pytest.raises(OutputError, match="prepared from other files"):
        prepare_kddcup(raw, out, SINGLE)
    after = prepare_kddcup(raw, out, SINGLE, force=True).manifest
    assert after["fingerprint"] != before["fingerprint"]


def test_duplicate_splits(raw, tmp_path):
    once = prepare_kddcup(raw, tmp_path / "once", SINGLE, splits=("valid",))
    twice = prepare_kddcup(raw, tmp_path / "twice", SINGLE, splits=("valid", "valid"))
    assert once.manifest["files"] == twice.manifest["files"]
    content = (raw / "valid" / "valid.tsv").read_bytes()
    (raw / "valid" / "valid.tsv.gz").write_bytes(gzip.compress(content))
    with pytest.raises(UsageError, match=r"split 'valid' has two files: .*valid\.tsv and .*\.gz"):
        prepare_kddcup(raw, tmp_path / "both", SINGLE)


def test_invalid_first_row_does_not_decide_the_width(raw, tmp_path):
    odd = RawRow(product_id=7, columns={"num_boxes": b"4"})
    write_raw(raw, "train", [odd, *many_rows(80, 30, 20)])
    data = prepare_kddcup(raw, tmp_path / "data", SKIP)
    assert data.store.width == 4
    assert data.manifest["splits"]["train"]["rows"] == 80


def test_endless_line_after_the_header_raises(raw, tmp_path, monkeypatch):
    monkeypatch.setattr("shopsight.prepare.kddcup.line_reader.CHUNK_BYTES", 1 << 12)
    (raw / "train" / "train.tsv").write_bytes(HEADER + b"x" * (1 << 13))
    with pytest.raises(InputError, match="a line is longer than"):
        prepare_kddcup(raw, tmp_path / "data", SINGLE)


@pytest.mark.parametrize("what", ["labels", "tokenizer", "answers", "rows"])
def test_late_errors_leave_nothing(raw, tmp_path, what):
    config, labels = SKIP, None
    if what == "labels":
        labels = tmp_path / "nolabels.txt"
    elif what == "tokenizer":
        config = KddcupConfig(workers=1, tokenizer=str(tmp_path / "no such folder"))
    elif what == "answers":
        (raw / "valid" / "valid_answer.json").write_text("{")
    else:
        for split in ("train", "valid"):
            write_raw(raw, split, [b"junk"])
    with pytest.raises((InputError, DataError)):
        prepare_kddcup(raw, tmp_path / "data", config, labels=labels)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_interrupted_stdin_resumes_with_the_same_stream_only(raw, tmp_path, monkeypatch):
    def piped(content):
        monkeypatch.setattr(sys, "stdin", FakeStdin(content))
        return {"raw": "-", "config": SINGLE, "splits": ("train",)}

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("shopsight.prepare.kddcup.line_reader.CHUNK_BYTES", 1 << 12)
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)
    content = (raw / "train" / "train.tsv").read_bytes()
    for packed in (content, gzip.compress(content)):
        name = f"data{len(packed)}"
        whole = prepare_kddcup(out=tmp_path / f"whole{name}", **piped(packed))
        with pytest.raises(KeyboardInterrupt):
            prepare_kddcup(out=tmp_path / name, progress=interrupt, **piped(packed))
        other = HEADER.replace(b"product_id", b"product-id") + content[len(HEADER) :]
        with pytest.raises(InputError, match="not the stream of the interrupted run"):
            prepare_kddcup(out=tmp_path / name, **piped(other))
        data = prepare_kddcup(out=tmp_path / name, **piped(packed))
        assert tree(data.path) == tree(whole.path)


def test_interrupted_forced_run_resumes(raw, tmp_path, monkeypatch):
    out = tmp_path / "data"
    prepare_kddcup(raw, out, SINGLE)
    other = KddcupConfig(workers=1, dtype="float32")
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)

    def interrupt(stage, *_):
        if stage == "valid":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_kddcup(raw, out, other, force=True, progress=interrupt)
    assert PreparedData.open(out).store.dtype == np.float16  # the old folder is still there
    stages = []
    prepare_kddcup(raw, out, other, force=True, progress=lambda stage, *_: stages.append(stage))
    assert stages == ["finishing"]
    assert PreparedData.open(out).store.dtype == np.float32


def test_invalid_journals_are_ignored(raw, tmp_path):
    whole = prepare_kddcup(raw, tmp_path / "whole", SINGLE)
    partial = tmp_path / "data.partial"
    for content in ("{", "[1]", '{"fingerprint": "another version"}'):
        (partial / "data").mkdir(parents=True)
        (partial / "data" / "features-00007.npy").write_bytes(b"left over")
        (partial / "journal.json").write_text(content)
        data = prepare_kddcup(raw, tmp_path / "data", SINGLE, force=True)
        assert tree(data.path) == tree(whole.path)


def test_full_disk_is_resumable(raw, tmp_path, monkeypatch):
    whole = prepare_kddcup(raw, tmp_path / "whole", SINGLE)
    write = os.write

    def full(file, data):
        if len(data) > 1000:
            raise OSError(28, "No space left on device")
        return write(file, data)

    with monkeypatch.context() as patch:
        patch.setattr("shopsight.formats.append_npy.os.write", full)
        with pytest.raises(OutputError, match=r"no space left on device; run the same command"):
            prepare_kddcup(raw, tmp_path / "data", SINGLE)
    assert not (tmp_path / "data").exists()
    assert tree(prepare_kddcup(raw, tmp_path / "data", SINGLE).path) == tree(whole.path)


def test_missing_raw_files_raise(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        prepare_kddcup(tmp_path / "nowhere", tmp_path / "data", SINGLE)
    (tmp_path / "raw").mkdir()
    with pytest.raises(InputError, match="no raw file here"):
        prepare_kddcup(tmp_path / "raw", tmp_path / "data", SINGLE)
    write_raw(tmp_path / "raw", "valid", [RawRow()])
    with pytest.raises(UsageError, match=r"no split 'testA' \(found: valid\)"):
        prepare_kddcup(tmp_path / "raw", tmp_path / "data", SINGLE, splits=("testA",))


def test_concurrent_preparations_of_one_folder_raise(raw, tmp_path):
    def again(*_):
        with pytest.raises(OutputError, match="another shopsight process is writing here"):
            prepare_kddcup(raw, tmp_path / "data", SINGLE)
        met.append(True)

    met = []
    prepare_kddcup(raw, tmp_path / "data", SINGLE, progress=again)
    assert met


def test_damaged_folders_raise(raw, tmp_path):
    out = tmp_path / "data"
    data = prepare_kddcup(raw, out, SINGLE)
    labels = out / "labels.npy"
    content = labels.read_bytes()
    labels.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match=r"labels\.npy: content changed"):
        data.verify()
    labels.write_bytes(content[:-2])
    with pytest.raises(DataError, match=r"labels\.npy: .* bytes instead of"):
        PreparedData.open(out)
    labels.unlink()
    with pytest.raises(DataError, match=r"labels\.npy: missing; prepare"):
        PreparedData.open(out)
    for content, reason in (
        ("{", "not readable as JSON"),
        ("[]", "has another format"),
        ('{"format": "shopsight prepared folder"}', "format version None"),
    ):
        (out / "data.json").write_text(content)
        with pytest.raises(DataError, match=reason):
            PreparedData.open(out)
    with pytest.raises(DataError, match="not a prepared folder"):
        PreparedData.open(tmp_path)


def test_missing_splits_and_products_raise(raw, tmp_path):
    data = prepare_kddcup(raw, tmp_path / "data", SINGLE, splits=("valid",))
    with pytest.raises(DataError, match="no pairs of split 'train'"):
        data.pairs()
    with pytest.raises(DataError, match="no vocabulary, because no train split"):
        data.vocabulary()
    with pytest.raises(DataError, match="no product 'x'"):
        data.store.index_of(["120", "x"])
    with pytest.raises(IndexError, match="outside 0 to 24"):
        data.store.read([25])
    with pytest.raises(IndexError):
        data.store.read([-1])
    assert data.store.read([]).features.shape == (0, 4)


# Run in a child process that can be killed, with small chunks and a save after every chunk.
CHILD = """
import sys
from pathlib import Path
from shopsight.prepare.kddcup import ingest
from shopsight.prepare import journal
from shopsight.prepare.kddcup import line_reader
from shopsight.config import KddcupConfig
journal.Journal.checkpoint = journal.Journal.save
line_reader.CHUNK_BYTES = 1 << 13
progress = lambda stage, *_: print(stage, flush=True)
config = KddcupConfig(workers=2, shard_mib=1)
ingest.prepare_kddcup(Path(sys.argv[1]), Path(sys.argv[2]), config, progress=progress)
"""


def test_killed_and_resumed_gives_the_same_bytes(tmp_path):
    raw = tmp_path / "raw"
    write_raw(raw, "train", many_rows(1500, 700, 300))
    write_raw(raw, "valid", many_rows(600, 500, 100, first_id=500))
    command = [sys.executable, "-c", CHILD, str(raw)]
    whole = subprocess.run(
        [*command, str(tmp_path / "whole")], check=True, stdout=subprocess.PIPE, text=True
    )
    chunks = whole.stdout.splitlines()
    assert len(chunks) > 40
    rng = random.Random(0)
    for _ in range(4):
        with subprocess.Popen([*command, str(tmp_path / "cut")], stdout=subprocess.PIPE) as run:
            assert run.stdout is not None
            for _ in range(rng.randint(1, len(chunks) // 4)):
                run.stdout.readline()
            os.kill(run.pid, signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
        assert not (tmp_path / "cut").exists()
    subprocess.run([*command, str(tmp_path / "cut")], check=True, stdout=subprocess.DEVNULL)
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    assert not (tmp_path / "cut.partial").exists()


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
def test_interrupted_after_a_chunk_and_resumed(tmp_path, monkeypatch, fraction):
    """The same without chance: Ctrl-C arrives right after a chunk was saved."""
    raw = tmp_path / "raw"
    write_raw(raw, "train", with_conflicts(many_rows(300, 120, 60)))
    write_raw(raw, "valid", [*many_rows(100, 80, 30), b"bad row"])
    config = KddcupConfig(workers=1, on_error="skip")
    monkeypatch.setattr("shopsight.prepare.kddcup.line_reader.CHUNK_BYTES", 1 << 12)
    monkeypatch.setattr(Journal, "checkpoint", Journal.save)
    chunks = []
    prepare_kddcup(raw, tmp_path / "whole", config, progress=stages_into(chunks))
    assert len(chunks) > 15
    last = round(fraction * (len(chunks) - 1))
    seen = []

    def interrupt(stage, *_):
        seen.append(stage)
        if len(seen) == last + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_kddcup(raw, tmp_path / "cut", config, progress=interrupt)
    assert (tmp_path / "cut.partial").exists()
    rest = []
    prepare_kddcup(raw, tmp_path / "cut", config, progress=stages_into(rest))
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole")
    assert rest == (chunks[last + 1 :] or ["finishing"])  # it resumed right there


def test_changed_settings_start_over(raw, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_kddcup(raw, tmp_path / "data", SINGLE, progress=interrupt)
    other = KddcupConfig(workers=1, dtype="float32")
    data = prepare_kddcup(raw, tmp_path / "data", other)
    assert data.store.dtype == np.float32
    assert_equals_naive_reading(data, raw / "train" / "train.tsv", "train")
