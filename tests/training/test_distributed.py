from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shopsight.inference.run_folder import StageFolder
from shopsight.training.distributed import DistributedContext
from training.launching import launch
from training.standin import lines

SCRIPT = Path(__file__).with_name("standin_process.py")


def run(folder: Path, processes: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Train the stand-in in so many processes."""
    return launch(SCRIPT, processes, folder, *options)


def best(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(StageFolder(folder, "").best)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    done = run(folder, 1)
    assert done.returncode == 0, done.stderr
    return folder


def assert_same_training(folder: Path, alone: Path) -> None:
    expected, actual = lines(alone), lines(folder)
    assert len(actual) == len(expected) >= 30
    for expected_line, line in zip(expected, actual, strict=True):
        assert line.keys() == expected_line.keys()
        value = "loss" if "loss" in line else "score"
        assert line[value] == pytest.approx(expected_line[value], rel=1e-9)
    for name, tensor in best(alone).items():
        torch.testing.assert_close(best(folder)[name], tensor, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_two_processes_equal_one_and_resume(tmp_path, alone):
    killed = run(tmp_path, 2, "die=step:20", "rank=1")
    assert killed.returncode != 0
    left = StageFolder(tmp_path, "").checkpoints()
    assert left[-1].name == "checkpoint-00000018.safetensors"
    done = run(tmp_path, 2)
    assert done.returncode == 0, done.stderr
    assert_same_training(tmp_path, alone)
    ranks = [torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert torch.equal(*ranks)


@pytest.mark.slow
def test_ctrl_c_in_one_process_stops_both_with_a_checkpoint(tmp_path, alone):
    stopped = run(tmp_path, 2, "ctrl_c=14")
    assert stopped.returncode != 0
    assert StageFolder(tmp_path, "").checkpoints()[-1].name == "checkpoint-00000014.safetensors"
    assert run(tmp_path, 1).returncode == 0  # another number of processes resumes it
    assert_same_training(tmp_path, alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", ["step:8", "checkpoint:4", "rename:1", "rename:7", "best:2", "finish:1"]
)
def test_kill_9_and_resume(tmp_path, where, alone):
    folder = tmp_path
    killed = run(folder, 1, f"die={where}")
    assert killed.returncode == -9, killed.stderr
    assert StageFolder(folder, "").done() is None or where == "finish:1"
    done = run(folder, 1)
    assert done.returncode == 0, done.stderr
    assert lines(folder) == lines(alone)
    assert not list(folder.glob(".*"))
    expected = best(alone)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in best(folder).items())


def test_one_process_needs_no_group():
    context = DistributedContext()
    context.barrier()
    assert context.main
    assert context.broadcast(2.5) == 2.5
    assert context.mean([1.0, 2.0]) == [1.0, 2.0]
