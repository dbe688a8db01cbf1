from io import StringIO

import pytest
from rich.console import Console

from shopsight.training.callbacks import ProgressLine, Status, clock, describe

STATUS = Status("dual", 1, 4, 5, 10, {"softmax": 0.5}, 812.4, 75.2, 0.02, 0.7012)


def shown(quiet: bool, terminal: bool) -> str:
    text = StringIO()
    console = Console(file=text, force_terminal=terminal, width=120)
    with ProgressLine(quiet, console) as line:
        line.step(STATUS)
        line.note("epoch 1: 0.7012")
    return text.getvalue()


def test_a_terminal_shows_the_progress():
    text = shown(quiet=False, terminal=True)
    assert "dual 2/4" in text
    assert "softmax 0.5  812 pairs/s  2% waiting  best 0.7012  1:15 left" in text


def test_elsewhere_only_notes_are_written():
    assert shown(quiet=False, terminal=False).strip() == "epoch 1: 0.7012"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_writes_nothing(terminal):
    assert shown(quiet=True, terminal=terminal) == ""


def test_no_best_score_before_the_first_validation():
    status = Status("label-match", 0, 1, 1, 2, {"labels": 12.3456, "caption": 3.0}, 3.14, 0.4)
    assert describe(status) == "labels 12.35  caption 3  3.1 pairs/s  0% waiting  0:00 left"


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.6, "1:00"), (3599.7, "1:00:00"), (86400, "24:00:00")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text
