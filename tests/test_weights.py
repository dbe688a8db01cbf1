import errno
import json
import os
import resource

import pytest
import torch
from safetensors import safe_open
from torch import nn

from shopsight.errors import DataError, OutputError
from shopsight.weights import (
    load_checkpoint,
    load_part,
    load_weights,
    save_checkpoint,
    save_weights,
)


class Tied(nn.Module):
    """Two names for one weight, a buffer that is saved and one that is not."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(width, 2, bias=False)
        self.second = nn.Linear(width, 2, bias=False)
        self.second.weight = self.first.weight
        self.head = nn.Linear(2, 1)
        self.register_buffer("seen", torch.arange(3))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)


def stepped(model, steps, optimizer=None):
    """An optimizer after some steps on fixed data."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        model.head(model.first(torch.full((1, 3), 1.0 + step))).sum().backward()
        optimizer.step()
    return optimizer


def test_training_resumes_exactly_from_a_checkpoint(tmp_path):
    torch.manual_seed(0)
    model, path = Tied(), tmp_path / "a.safetensors"
    optimizer = stepped(model, 3)
    save_checkpoint(path, model, optimizer, {"epoch": 2})
    stepped(model, 2, optimizer)

    other = Tied()
    resumed = torch.optim.Adam(other.parameters(), lr=0.1)
    assert load_checkpoint(path, other, resumed) == {"epoch": 2}
    stepped(other, 2, resumed)
    assert torch.equal(model.first.weight, other.first.weight)
    assert torch.equal(model.head.weight, other.head.weight)
    assert other.second.weight is other.first.weight


def test_nothing_is_pickled_and_shared_weights_are_written_once(tmp_path):
    model, path = Tied(), tmp_path / "a.safetensors"
    save_checkpoint(path, model, stepped(model, 1), {"epoch": 0})
    with safe_open(path, "pt") as file:
        names = set(file.keys())
        assert json.loads(file.metadata()["shopsight"]) == {"epoch": 0}
    weights = {"model.first.weight", "model.head.weight", "model.head.bias", "model.seen"}
    moments = {"exp_avg", "exp_avg_sq", "step"}
    owners = ("first.weight", "head.weight", "head.bias")
    assert names == weights | {f"optimizer.{o}/{m}" for o in owners for m in moments}


def test_weights_alone_and_parts_of_them(tmp_path):
    model, other, path = Tied(), Tied(), tmp_path / "best.safetensors"
    save_weights(path, model, {"score": 0.5})
    part = nn.Linear(2, 1)
    load_part(path, "head.", part)
    assert torch.equal(part.weight, model.head.weight)
    assert load_weights(path, other) == {"score": 0.5}
    assert torch.equal(other.first.weight, model.first.weight)
    assert torch.equal(other.seen, torch.arange(3))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (lambda: Tied(4), r"first.weight has shape \(2, 3\) in the file, not \(2, 4\)"),
        (lambda: nn.Linear(3, 2), "of a model with other layers .bias is in one of them only"),
    ],
)
def test_another_model_raises(tmp_path, other, sentence):
    save_weights(tmp_path / "a.safetensors", Tied(), {})
    with pytest.raises(DataError, match=sentence):
        load_weights(tmp_path / "a.safetensors", other())


def test_a_missing_and_a_damaged_file_raise(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(DataError, match="no such file"):
        load_weights(path, Tied())
    save_weights(path, Tied(), {})
    saved = path.read_bytes()
    for content in (
        saved[:-5],
        b"",
        b"{}" * 50,
        saved.replace(b"shopsight", b"something"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged, or not weights of shopsight; delete it"):
            load_weights(path, Tied())


def test_a_limit_on_the_disk_leaves_the_old_file(tmp_path):
    path, small = tmp_path / "a.safetensors", nn.Linear(2, 2)
    save_weights(path, small, {"n": 1})
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"a.safetensors: cannot write, file too large"):
            save_weights(path, nn.Linear(100, 100), {"n": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_full_disk_at_the_end_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_weights(path, nn.Linear(2, 2), {"n": 1})
    before = path.read_bytes()

    def full(place):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="cannot write, no space left on device"):
        save_weights(path, nn.Linear(2, 2), {"n": 2})
    assert path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    save_weights(tmp_path / "a.safetensors", nn.Linear(2, 2), {})
    (tmp_path / "plain").touch()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_non_finite_weights_are_not_written(tmp_path):
    model = nn.Linear(2, 2)
    model.weight.data[0, 1] = float("nan")
    with pytest.raises(OutputError, match=r"not saved: 'model.weight' contains NaN or Inf"):
        save_weights(tmp_path / "a.safetensors", model, {})
    assert list(tmp_path.iterdir()) == []
