"""The competition's submission, and what is rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopsight.errors import InputError
from shopsight.formats.runs import read_run
from shopsight.formats.submission import submission, write_submission
from shopsight.types import Pools, Run

SIX = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5, "f": 0.5}


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    assert write_submission(Run.from_dict({"7": SIX}), path) == 1
    assert path.read_text() == (
        "query-id,product1,product2,product3,product4,product5\n7,f,e,d,c,b\n"
    )
    assert submission(read_run(path)) == {"7": ["f", "e", "d", "c", "b"]}


def test_too_few(tmp_path: Path) -> None:
    run = Run.from_dict({"7": SIX, "8": {"a": 1.0}, "9": {}}, "mine")
    with pytest.raises(InputError, match=r"mine: query '8' has 1 distinct .* \(and 1 more"):
        write_submission(run, tmp_path / "s.csv")
    assert list(tmp_path.iterdir()) == []


def test_against_pools() -> None:
    run = Run.from_dict({"7": SIX})
    assert submission(run, Pools.from_dict({"7": SIX}))
    with pytest.raises(InputError, match="query '8' of the pools is missing"):
        submission(run, Pools.from_dict({"7": SIX, "8": ["a"]}))
    with pytest.raises(InputError, match="query '7' is not among the pools"):
        submission(run, Pools.from_dict({}))
    with pytest.raises(InputError, match="query '7' got product 'f', which is not in its pool"):
        submission(run, Pools.from_dict({"7": ["a", "b", "c", "d", "e", "g"]}))


def test_ids_that_break_a_line(tmp_path: Path) -> None:
    run = Run.from_dict({"7": {**SIX, "x,y": 9.0}})
    with pytest.raises(InputError, match="query '7' has an id with a comma"):
        write_submission(run, tmp_path / "s.csv")
