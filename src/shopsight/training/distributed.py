"""Several processes that train one model: who I am, gathering rows, averaging gradients.

Started by ``torchrun``, which sets the environment; one process needs nothing of it. The rule
that makes any number of processes equal to one: every process takes an equal slice of the global
batch, its loss is a mean over its rows (or the loss of the whole gathered batch), and gradients
are averaged. The gradient of `gather_rows` is summed over processes, so that averaging is right
for both.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from shopsight.errors import UsageError

_PATIENCE = timedelta(days=1)  # others wait while the first ranks, validates and caches
_BUCKET = 1 << 24  # numbers that are averaged in one message


@dataclass(frozen=True)
class DistributedContext:
    """One process among those that train together.

    Args:
        rank: its number, from 0.
        size: how many there are.
        device: where its tensors are.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def main(self) -> bool:
        """Whether this is the process that validates and writes."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            self.mean([0.0])

    def share(self, value: float) -> float:
        """The first process's number, known to all."""
        if self.size == 1:
            return value
        tensor = self._tensor([value])
        dist.broadcast(tensor, 0)
        return float(tensor.item())

    def mean(self, values: Sequence[float]) -> list[float]:
        """Numbers averaged over the processes."""
        if self.size == 1:
            return list(values)
        tensor = self._tensor(values)
        dist.all_reduce(tensor)
        return [float(value) / self.size for value in tensor.tolist()]

    def _tensor(self, values: Sequence[float]) -> Tensor:
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        return torch.tensor(values, dtype=exact, device=self.device)


def choose_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """The device by name; "auto" takes a GPU where there is one.

    Raises:
        UsageError: the device is not there, or there is none of that name.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device '{name}' (known: auto, cpu, cuda, mps)") from error
    if device.type == "cuda":
        count = torch.cuda.device_count()
        index = local_rank if device.index is None else device.index
        if index >= count:
            raise UsageError(f"device cuda:{index} is not there; this machine has {count} GPUs")
        device = torch.device("cuda", index)
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps is not there; this machine has none")
    return device


@contextmanager
def init_distributed(device: str = "auto") -> Iterator[DistributedContext]:
    """This process's place among those that ``torchrun`` started, or the only one.

    Args:
        device: "auto", or a device's name; each process of a machine takes the GPU of its number.

    Raises:
        UsageError: the device is not there.
    """
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    chosen = choose_device(device, local)
    if size == 1:
        yield DistributedContext(device=chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield DistributedContext(dist.get_rank(), size, chosen)
    finally:
        dist.destroy_process_group()


def gather_rows(rows: Tensor, world: DistributedContext) -> Tensor:
    """The rows of all processes, first process first; gradients flow back to their owners.

    Args:
        rows: (B, ...) this process's rows; every process has as many.
        world: the processes.

    Returns:
        (world.size * B, ...).
    """
    if world.size == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows.contiguous()))  # type: ignore[no-untyped-call]


def gather_ragged(rows: Tensor, world: DistributedContext) -> Tensor:
    """The rows of all processes, of which each may have its own number; see `gather_rows`.

    Args:
        rows: (n, ...) this process's rows.
        world: the processes.

    Returns:
        (N, ...).
    """
    if world.size == 1:
        return rows
    counts = gather_rows(torch.tensor([len(rows)], device=rows.device), world)
    longest = int(counts.max())
    filled = torch.cat([rows, rows.new_zeros(longest - len(rows), *rows.shape[1:])])
    real = torch.arange(longest, device=rows.device) < counts[:, None]
    return gather_rows(filled, world)[real.flatten()]


def average_gradients(parameters: Iterable[nn.Parameter], world: DistributedContext) -> None:
    """Replace every gradient by its mean over the processes.

    A parameter that no process used keeps no gradient; one that some used counts as 0 elsewhere.
    """
    if world.size == 1:
        return
    own = [one for one in parameters if one.requires_grad]
    used = torch.tensor([float(one.grad is not None) for one in own], device=world.device)
    dist.all_reduce(used, dist.ReduceOp.MAX)
    gradients = []
    for parameter, anyone in zip(own, used.tolist(), strict=True):
        if anyone and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if parameter.grad is not None:
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([one.flatten() for one in bucket])
        dist.all_reduce(flat)
        flat /= world.size
        parts = torch.split(flat, [one.numel() for one in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def broadcast_weights(module: nn.Module, world: DistributedContext) -> None:
    """Give every process the first one's weights."""
    if world.size > 1:
        with torch.no_grad():
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Runs of tensors of one number format, of `_BUCKET` numbers or a single tensor."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        full = sum(one.numel() for one in bucket) + tensor.numel() > _BUCKET
        if bucket and (full or bucket[0].dtype != tensor.dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
