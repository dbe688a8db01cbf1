import gzip
import sys

import pytest

from rawfile import FakeStdin
from shopsight.errors import InputError
from shopsight.prepare.kddcup.line_reader import LinePosition, LineReader

TEXT = b"".join(b"line %d %s\n" % (i, b"x" * (i % 37)) for i in range(500))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("shopsight.prepare.kddcup.line_reader.CHUNK_BYTES", 256)


def read_through(path, start=None):
    chunks, ends = [], []
    with LineReader(path, start) as reader:
        while lines := reader.read():
            chunks.append(lines)
            ends.append(reader.position)
    return chunks, ends


@pytest.fixture(params=["plain", "gzip", "stdin", "gzip on stdin"])
def source(request, tmp_path, monkeypatch):
    """A function that makes a readable source of the given bytes."""

    def make(data):
        content = gzip.compress(data) if "gzip" in request.param else data
        if "stdin" in request.param:
            monkeypatch.setattr(sys, "stdin", FakeStdin(content))
            return "-"
        path = tmp_path / "file"  # no ending: gzip is recognised by content
        path.write_bytes(content)
        return path

    return make


def test_chunks_are_whole_lines_and_lose_nothing(source):
    chunks, _ = read_through(source(TEXT))
    assert len(chunks) > 10
    assert b"".join(chunks) == TEXT
    assert all(chunk.endswith(b"\n") for chunk in chunks)


def test_last_line_without_line_end_is_returned(source):
    chunks, _ = read_through(source(TEXT + b"tail"))
    assert b"".join(chunks) == TEXT + b"tail"
    assert chunks[-1].endswith(b"tail")


@pytest.mark.parametrize("index", [0, 3, -1])
def test_reading_resumes_at_every_position(source, index):
    chunks, ends = read_through(source(TEXT))
    rest, _ = read_through(source(TEXT), start=ends[index])
    assert b"".join(rest) == b"".join(chunks[index:][1:])


def test_empty_file_gives_nothing(source):
    assert read_through(source(b"")) == ([], [])


def test_too_long_lines_raise(source):
    with pytest.raises(InputError, match="a line is longer than"):
        read_through(source(b"short\n" + b"x" * 1000 + b"\n"))


def test_other_stdin_raises(monkeypatch):
    monkeypatch.setattr(sys, "stdin", FakeStdin(TEXT))
    _, ends = read_through("-")
    monkeypatch.setattr(sys, "stdin", FakeStdin(TEXT.replace(b"line 1 ", b"line 9 ")))
    with pytest.raises(InputError, match="not the stream of the interrupted run"):
        LineReader("-", ends[3])


def test_shorter_stdin_raises(monkeypatch):
    monkeypatch.setattr(sys, "stdin", FakeStdin(b"line\n"))
    with pytest.raises(InputError, match="not the stream of the interrupted run"):
        LineReader("-", LinePosition(1000, 1))


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: raw[:40] + b"\0" * 30])
def test_broken_gzip_raises(tmp_path, damage):
    path = tmp_path / "train.tsv.gz"
    path.write_bytes(damage(gzip.compress(TEXT)))
    with pytest.raises(InputError, match=r"train\.tsv\.gz: broken gzip stream"):
        read_through(path)


def test_missing_files_and_folders_raise(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        LineReader(tmp_path / "nothing")
    with pytest.raises(InputError, match="directory"):
        LineReader(tmp_path)
