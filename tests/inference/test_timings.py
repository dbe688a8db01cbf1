"""Per-step timings over several calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from shopsight.inference.timings import Timings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as a list of one number to set."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def test_resumed_steps_add_up_and_repeated_ones_do_not(tmp_path: Path, clock: list[float]) -> None:
    for seconds in (5.0, 2.0):
        timings = Timings(tmp_path)
        with timings.measure("train", resumed=True):
            clock[0] += seconds
        with timings.measure("rank"):
            clock[0] += seconds
    assert timings.seconds == {"train": 7.0, "rank": 5.0}
    assert Timings(tmp_path).seconds == timings.seconds


def test_a_step_that_fails_is_timed_too(tmp_path: Path, clock: list[float]) -> None:
    def fail() -> None:
        with Timings(tmp_path).measure("train", resumed=True):
            clock[0] += 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    (step,) = json.loads((tmp_path / "times.json").read_text()).items()
    assert step[0] == "train"
    assert step[1]["seconds"] == 3.0
    assert step[1]["mib"] > 20


@pytest.mark.parametrize("damage", ["{", "[1]", '{"train": 3}', '{"train": {"seconds": "long"}}'])
def test_a_damaged_file_does_not_raise(tmp_path: Path, damage: str) -> None:
    (tmp_path / "times.json").write_text(damage)
    assert Timings(tmp_path).seconds == {}


def test_steps_of_another_folder_are_taken_over(tmp_path):
    (tmp_path / "other").mkdir()
    steps = {"label-match": {"seconds": 5.0, "mib": 300}, "dual": {"seconds": 3.0, "mib": 400}}
    (tmp_path / "other" / "times.json").write_text(json.dumps(steps))
    timings = Timings(tmp_path)
    timings.take_over(Timings(tmp_path / "other"), ["label-match", "word-match"])
    assert Timings(tmp_path).seconds == {"label-match": 5.0}
    assert Timings(tmp_path).memory == {"label-match": 300.0}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not reset the peak")
def test_the_memory_of_a_step_is_its_own_peak(tmp_path: Path) -> None:
    timings = Timings(tmp_path)
    with timings.measure("large"):
        np.ones(16 << 20)  # 128 MiB
    with timings.measure("small"):
        pass
    assert timings.memory["large"] > timings.memory["small"] + 100
