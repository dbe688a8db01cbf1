"""Processes that train one model together: rank, gathered rows, averaged gradients.

What makes any number of processes equal to one: each takes an equal slice of the global batch, its
loss is a mean over its rows (or the loss of the whole gathered batch), and gradients are averaged.
The gradient of `gather_rows` is summed over processes, which makes the average right for both.
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

from shopsight.device import choose_device

# The other processes wait while the first one ranks, validates and fills caches.
_TIMEOUT = timedelta(days=1)
_BUCKET = 1 << 24  # elements that are averaged in one message


@dataclass(frozen=True)
class DistributedContext:
    """Process `rank`, from 0, of the `size` processes that train together, and its device."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def main(self) -> bool:
        """True in the first process, which validates and writes."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all processes."""
        self.mean([0.0])

    def broadcast(self, value: float) -> float:
        """The value of the first process, in every process."""
        if self.size == 1:
            return value
        tensor = self._tensor([value])
        dist.broadcast(tensor, 0)
        return float(tensor.item())

    def mean(self, values: Sequence[float]) -> list[float]:
        """Values averaged over the processes."""
        if self.size == 1:
            return list(values)
        tensor = self._tensor(values)
        dist.all_reduce(tensor)
        return [float(value) / self.size for value in tensor.tolist()]

    def _tensor(self, values: Sequence[float]) -> Tensor:
        # float64 keeps step counts exact and the means of equal values equal; mps has none.
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        return torch.tensor(values, dtype=exact, device=self.device)


@contextmanager
def init_distributed(device: str = "auto") -> Iterator[DistributedContext]:
    """Join the processes that ``torchrun`` started, if any; see `choose_device` for errors."""
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    chosen = choose_device(device, local)
    if size == 1:
        yield DistributedContext(device=chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield DistributedContext(dist.get_rank(), size, chosen)
    finally:
        dist.destroy_process_group()


def gather_rows(rows: Tensor, context: DistributedContext) -> Tensor:
    """(size * B, ...) from the B rows of each process, in rank order; gradients flow back."""
    if context.size == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows.contiguous()))  # type: ignore[no-untyped-call]


def gather_ragged(rows: Tensor, context: DistributedContext) -> Tensor:
    """(N, ...) rows of all processes like `gather_rows`, where each may have another number."""
    if context.size == 1:
        return rows
    counts = gather_rows(torch.tensor([len(rows)], device=rows.device), context)
    longest = int(counts.max())
    padded = torch.cat([rows, rows.new_zeros(longest - len(rows), *rows.shape[1:])])
    real = torch.arange(longest, device=rows.device) < counts[:, None]
    return gather_rows(padded, context)[real.flatten()]


def average_gradients(parameters: Iterable[nn.Parameter], context: DistributedContext) -> None:
    """Replace every gradient by its mean over the processes.

    A parameter that no process used keeps no gradient; one that some used counts as 0 elsewhere.
    """
    if context.size == 1:
        return
    trained = [weight for weight in parameters if weight.requires_grad]
    # All processes must send the same tensors in the same order, so they first agree which ones.
    used = torch.tensor([float(w.grad is not None) for w in trained], device=context.device)
    dist.all_reduce(used, dist.ReduceOp.MAX)
    gradients = []
    for weight, used_by_any in zip(trained, used.tolist(), strict=True):
        if used_by_any and weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        if weight.grad is not None:
            gradients.append(weight.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat)
        flat /= context.size
        parts = torch.split(flat, [gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def broadcast_weights(module: nn.Module, context: DistributedContext) -> None:
    """Copy the weights of the first process to all others."""
    if context.size > 1:
        with torch.no_grad():
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Consecutive tensors of one dtype, at most `_BUCKET` elements or a single larger tensor."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        full = sum(other.numel() for other in bucket) + tensor.numel() > _BUCKET
        if bucket and (full or bucket[0].dtype != tensor.dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
