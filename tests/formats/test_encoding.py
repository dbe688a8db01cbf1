"""Encodings by their marks and zeros, and text that only looks like one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopsight.errors import InputError
from shopsight.formats.content import read_text
from shopsight.formats.encoding import encoding_of, to_utf8

TEXT = "frage\t1\nfür\t漢\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_every_encoding_reads_back(encoding: str, tmp_path: Path) -> None:
    data = TEXT.encode(encoding)
    assert encoding_of(data) == encoding
    assert to_utf8(data) == TEXT.encode()
    (tmp_path / "file").write_bytes(data)
    assert read_text(tmp_path / "file") == TEXT


def test_big_endian_with_a_mark() -> None:
    assert to_utf8(b"\xfe\xff" + TEXT.encode("utf-16-be")) == TEXT.encode()


@pytest.mark.parametrize("data", [b"", b"\0", b"a", b"\0\0\0\0", b"a\0b\0\0\0", bytes(range(64))])
def test_binary_data_do_not_count_as_text(data: bytes) -> None:
    assert encoding_of(data) == "utf-8"
    assert to_utf8(data) == data


def test_broken_utf16_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("a b".encode("utf-16")[:-1])
    with pytest.raises(InputError, match=r"broken UTF-16.* text .*; save it as UTF-8"):
        read_text(tmp_path / "file")
