"""Text encodings of input files: UTF-8, and what Excel and PowerShell write."""

from __future__ import annotations

import codecs

_MARKS = (
    # The mark of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
SAMPLE = 1 << 12
"""Bytes of a file that tell its encoding."""


def encoding_of(head: bytes) -> str:
    r"""The encoding of a file by its first bytes: a byte order mark, or the zeros of UTF-16.

    In UTF-16 without a mark every ASCII character has one zero byte: the second of its two in
    little-endian text, the first in big-endian text. Everything else counts as UTF-8.

    >>> encoding_of("é".encode("utf-16")), encoding_of("q1 0 a 1".encode("utf-16-be"))
    ('utf-16', 'utf-16-be')
    >>> encoding_of(b"\xef\xbb\xbfa"), encoding_of(b"a"), encoding_of(b"")
    ('utf-8-sig', 'utf-8', 'utf-8')
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    sample = head[:SAMPLE]
    first, second = sample[0::2], sample[1::2]
    for zeros, others, name in ((second, first, "utf-16-le"), (first, second, "utf-16-be")):
        # Most text is mostly ASCII; binary data have zeros on both sides.
        if len(zeros) > 1 and zeros.count(0) * 2 > len(zeros) and not others.count(0):
            return name
    return "utf-8"


def to_utf8(data: bytes) -> bytes:
    """The whole content of a file as UTF-8 without a byte order mark.

    Content that counts as UTF-8 is not checked; broken UTF-16 raises UnicodeDecodeError.
    """
    name = encoding_of(data)
    if name == "utf-8":
        return data
    return data[3:] if name == "utf-8-sig" else data.decode(name).encode()
