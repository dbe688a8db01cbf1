"""Linear, PReLU, Linear over all pairs of tokens and products, without the pairs' hidden layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_NUMBERS = 1 << 18


class PairwiseLogits(nn.Module):
    """What follows the first Linear of the word weights: PReLU, Linear to one number.

    Args:
        hidden: M, numbers per hidden layer.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.activation, self.out = nn.PReLU(), nn.Linear(hidden, 1)

    def of_sums(self, hidden: Tensor) -> Tensor:
        """(...) logits of hidden layers (..., M)."""
        with torch.autocast(hidden.device.type, enabled=False):
            return self.out(self.activation(hidden))[..., 0]  # type: ignore[no-any-return]

    def forward(self, text: Tensor, photo: Tensor) -> Tensor:
        """(N, P) logits of ``text[:, None] + photo[None]``, whose (N, P, M) is never held.

        PReLU(x) = a x + (1 - a) relu(x), and the out-weighted sum of the first part splits again
        into text and photo; only the second needs all pairs.

        Args:
            text: (N, M) float32.
            photo: (P, M) float32.
        """
        slope, out = self.activation.weight, self.out.weight[0]
        with torch.autocast(text.device.type, enabled=False):
            linear = (text @ out)[:, None] + photo @ out
            bent: Tensor = _ReluDot.apply(text, photo, out)  # type: ignore[no-untyped-call]
            return slope * linear + (1 - slope) * bent + self.out.bias


class _ReluDot(torch.autograd.Function):
    """(N, P) sum_m out_m relu(text_nm + photo_pm), a few rows of N at a time, both ways."""

    @staticmethod
    def forward(ctx: Any, text: Tensor, photo: Tensor, out: Tensor) -> Tensor:
        ctx.save_for_backward(text, photo, out)
        return torch.cat([bent @ out for _, bent in _bent(text, photo)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        text, photo, out = ctx.saved_tensors
        to_text, to_photo, to_out = [], torch.zeros_like(photo), torch.zeros_like(out)
        for rows, bent in _bent(text, photo):
            back = gradients[0][rows]  # (n, P)
            to_out += back.flatten() @ bent.flatten(0, 1)
            on = bent.sign_()  # 1 where relu let it through
            to_text.append(torch.bmm(back[:, None], on)[:, 0])
            to_photo += torch.einsum("np,npm->pm", back, on)
        return torch.cat(to_text) * out, to_photo * out, to_out


def _bent(text: Tensor, photo: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of text and (n, P, M) relu(text + photo), so few that they stay in the cache.

    The memory of each is that of the one before.
    """
    size = max(1, _NUMBERS // max(1, photo.numel()))
    memory = text.new_empty(size, *photo.shape)
    for start in range(0, len(text), size):
        rows = slice(start, start + size)
        part = text[rows, None]
        yield rows, torch.add(part, photo, out=memory[: len(part)]).relu_()
