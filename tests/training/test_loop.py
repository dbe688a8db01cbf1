from dataclasses import replace

import pytest
import torch

from shopsight.errors import OutputError
from shopsight.inference.run_folder import StageFolder
from shopsight.training.callbacks import Status
from shopsight.training.recorder import TrainingError
from training.standin import CONFIG, StandIn, lines, make_loader, train, weights


class Listening:
    def __init__(self):
        self.statuses, self.notes = [], []

    def step(self, status):
        self.statuses.append(status)

    def note(self, text):
        self.notes.append(text)


def scores(*values):
    """A validation that returns these, one after the other."""
    left = iter(values)
    return lambda task: next(left)


def test_the_loss_falls(tmp_path):
    outcome, _ = train(tmp_path, replace(CONFIG, epochs=8), StandIn(dropout=0))
    losses = [line["loss"] for line in lines(tmp_path)]
    assert sum(losses[-15:]) < 0.8 * sum(losses[:15])
    assert (outcome.epochs, outcome.steps) == (8, len(losses))
    assert 0 <= outcome.wait_fraction <= 1
    assert outcome.pairs_per_second > 0


def test_a_run_is_repeatable(tmp_path):
    _, first = train(tmp_path / "a")
    _, again = train(tmp_path / "b")
    assert torch.equal(weights(first), weights(again))
    assert lines(tmp_path / "a") == lines(tmp_path / "b")


@pytest.mark.parametrize("workers", [0, 3])
def test_reading_ahead_changes_nothing(tmp_path, workers):
    _, plain = train(tmp_path / "a")
    _, other = train(tmp_path / "b", loader=make_loader(workers=workers))
    assert torch.equal(weights(plain), weights(other))


@pytest.mark.parametrize("step", [1, 4, 6, 15, 16, 40])
def test_training_resumes_exactly_after_ctrl_c(tmp_path, step):
    _, whole = train(tmp_path / "whole", validate=lambda task: float(weights(task).sum()))
    stopped = StandIn()
    stopped.kill_at = step
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", task=stopped, validate=lambda task: float(weights(task).sum()))
    # The interrupted step is finished, and at most one more follows.
    last = StageFolder(tmp_path / "cut", "").checkpoints()[-1]
    assert int(last.stem.rpartition("-")[2]) == step
    _, resumed = train(tmp_path / "cut", validate=lambda task: float(weights(task).sum()))
    assert torch.equal(weights(whole), weights(resumed))
    assert lines(tmp_path / "whole") == lines(tmp_path / "cut")


def test_ctrl_c_during_validation_resumes_with_the_validation(tmp_path):
    def interrupted(task):
        raise KeyboardInterrupt

    train(tmp_path / "whole", validate=scores(0.5, 0.4, 0.6))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", validate=interrupted)
    train(tmp_path / "cut", validate=scores(0.5, 0.4, 0.6))
    assert lines(tmp_path / "whole") == lines(tmp_path / "cut")


def test_the_best_weights_are_kept_and_come_back(tmp_path):
    seen = []

    def validate(task):
        assert not task.training
        assert not torch.is_grad_enabled()
        seen.append(weights(task))
        return [0.1, 0.7, 0.3][len(seen) - 1]

    outcome, task = train(tmp_path, validate=validate)
    assert (outcome.best, outcome.best_epoch, outcome.stopped) == (0.7, 2, "all epochs")
    assert torch.equal(weights(task), seen[1])
    again, fresh = train(tmp_path, validate=scores())  # finished: nothing is validated again
    assert again == outcome
    assert torch.equal(weights(fresh), seen[1])


def test_patience_stops_early(tmp_path):
    config = replace(CONFIG, epochs=9, patience=2)
    outcome, _ = train(tmp_path, config, validate=scores(0.5, 0.6, 0.6, 0.4, 0.9))
    assert (outcome.epochs, outcome.best, outcome.stopped) == (
        4,
        0.6,
        "no better for 2 validations",
    )


def test_validation_comes_as_often_as_asked_and_last(tmp_path):
    config = replace(CONFIG, epochs=5, eval_every_epochs=2)
    train(tmp_path, config, validate=scores(0.1, 0.2, 0.3))
    epochs = [line["epoch"] for line in lines(tmp_path) if line["kind"] == "valid"]
    assert epochs == [2, 4, 5]


def test_the_start_can_be_the_best(tmp_path):
    start = weights(StandIn())
    outcome, task = train(tmp_path, validate=scores(0.9, 0.1, 0.2, 0.3), validate_first=True)
    assert (outcome.best, outcome.best_epoch) == (0.9, 0)
    assert torch.equal(weights(task), start)


def test_no_epochs_keep_the_weights_as_they_are(tmp_path):
    outcome, task = train(tmp_path, replace(CONFIG, epochs=0))
    assert (outcome.steps, outcome.best) == (0, None)
    assert torch.equal(weights(task), weights(StandIn()))


def test_the_last_checkpoints_are_kept(tmp_path):
    train(tmp_path, replace(CONFIG, keep=3, checkpoint_steps=5))
    names = [path.name for path in StageFolder(tmp_path, "").checkpoints()]
    assert len(names) == 3
    assert names == sorted(names)
    assert not list(tmp_path.glob(".*"))


def test_a_non_finite_loss_raises(tmp_path):
    task = StandIn()
    task.poison_at = 10
    with pytest.raises(
        TrainingError, match=r"stand-in: the loss 'push' is nan at step 10 \(epoch"
    ) as e:
        train(tmp_path, task=task)
    assert "the last checkpoint is checkpoint-00000008.safetensors" in str(e.value)
    assert len(lines(tmp_path)) == 9
    _, whole = train(tmp_path / "whole")
    _, resumed = train(tmp_path)
    assert torch.equal(weights(whole), weights(resumed))


def test_weights_that_are_no_numbers_are_never_saved(tmp_path):
    def spoil(task):
        task.model["image"].weight.fill_(float("inf"))
        return 0.5

    with pytest.raises(OutputError, match=r"not saved: 'model.image.weight' contains NaN or Inf"):
        train(tmp_path, validate=spoil)
    assert not StageFolder(tmp_path, "").best.exists()
    _, whole = train(tmp_path / "whole")
    _, resumed = train(tmp_path)
    assert torch.equal(weights(whole), weights(resumed))


def test_progress_is_told_about_every_step(tmp_path):
    listening = Listening()
    outcome, _ = train(tmp_path, validate=scores(0.5, 0.25, 0.75), callback=listening)
    assert len(listening.statuses) == outcome.steps
    last: Status = listening.statuses[-1]
    assert (last.epoch, last.step, last.seconds_left) == (2, last.steps, 0)
    assert set(last.parts) == {"softmax", "push"}
    assert listening.notes == [
        "stand-in, epoch 1: 0.5000 (best 0.5000)",
        "stand-in, epoch 2: 0.2500 (best 0.5000)",
        "stand-in, epoch 3: 0.7500 (best 0.7500)",
    ]


def test_bf16_trains_float32_weights(tmp_path):
    _, task = train(tmp_path, replace(CONFIG, precision="bf16"))
    _, exact = train(tmp_path / "exact")
    assert weights(task).dtype == torch.float32
    assert not torch.equal(weights(task), weights(exact))
    torch.testing.assert_close(weights(task), weights(exact), atol=0.1, rtol=0)
