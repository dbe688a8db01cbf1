"""What processes of a pool do in tests: in a module that they can import."""

from __future__ import annotations

import os


def double(number: int) -> int:
    return 2 * number


def die(number: int) -> int:
    if number == 3:
        os._exit(9)
    return number


def fail(number: int) -> int:
    raise ValueError(f"no {number}")


_base = 0


def set_base(base: int) -> None:
    global _base
    _base = base


def above_base(number: int) -> int:
    return _base + number
