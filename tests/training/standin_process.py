"""Trains the stand-in in processes of its own.

Arguments: FOLDER, then any of die=WHAT:N, rank=R, dropout=P, ctrl_c=N. With ``die`` the process
kills itself, as ``kill -9`` would, at the Nth call of something.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from shopsight.training import loop
from shopsight.training import recorder as records
from shopsight.training.distributed import init_distributed
from training.standin import CONFIG, StandIn, make_loader, train, weights

PLACES = {
    "step": (loop, "average_gradients"),
    "checkpoint": (records, "save_checkpoint"),
    "best": (records, "save_weights"),
    "rename": (Path, "replace"),
    "finish": (records, "load_weights"),
}


def die_at(where: str) -> None:
    """Let the Nth call of a function be the last thing that this process does."""
    name, _, count = where.partition(":")
    owner, attribute = PLACES[name]
    original, left = getattr(owner, attribute), [int(count)]

    def pluralise(*args, **kwargs):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, attribute, pluralise)


def main(folder: Path, options: dict[str, str]) -> None:
    torch.set_default_dtype(torch.float64)
    if "die" in options and os.environ.get("RANK", "0") == options.get("rank", "0"):
        die_at(options["die"])
    config = replace(CONFIG, checkpoint_steps=3)
    with init_distributed("cpu") as context:
        task = StandIn(context, dropout=float(options.get("dropout", 0)))
        if context.rank == 1:  # the first process's weights are everyone's
            torch.nn.init.zeros_(task.model["image"].weight)
        if options.get("ctrl_c") and context.rank == 1:
            task.kill_at = int(options["ctrl_c"])
        validate = lambda task: float(weights(task).sum())  # noqa: E731
        _, task = train(
            folder, config, task, loader=make_loader(context), validate=validate, context=context
        )
        if context.size > 1:
            torch.save(weights(task), folder / f"rank-{context.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(option.split("=") for option in sys.argv[2:]))
