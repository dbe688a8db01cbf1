"""Linear, PReLU, Linear over all pairs of tokens and products, without a hidden layer per pair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_BLOCK_NUMBERS = 1 << 18


class PairwiseLogits(nn.Module):
    """PReLU and Linear to a logit, after the first Linear (M = ``hidden``) of the token weights."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.activation, self.out = nn.PReLU(), nn.Linear(hidden, 1)

    def of_sums(self, hidden: Tensor) -> Tensor:
        """(...) logits of hidden layers (..., M)."""
        with torch.autocast(hidden.device.type, enabled=False):
            return self.out(self.activation(hidden))[..., 0]  # type: ignore[no-any-return]

    def forward(self, text: Tensor, photo: Tensor) -> Tensor:
        """(N, P) logits of ``text[:, None] + photo[None]``, whose (N, P, M) is never stored.

        PReLU(x) = a x + (1 - a) relu(x). The Linear of the first term splits again into a text and
        a photo part; only the second term needs all pairs. Inputs are (N, M) and (P, M) float32.
        """
        slope, out = self.activation.weight, self.out.weight[0]
        with torch.autocast(text.device.type, enabled=False):
            linear = (text @ out)[:, None] + photo @ out  # (N, P)
            rectified: Tensor = _ReluDot.apply(text, photo, out)  # type: ignore[no-untyped-call]
            return slope * linear + (1 - slope) * rectified + self.out.bias


class _ReluDot(torch.autograd.Function):
    """(N, P) sum_m out_m relu(text_nm + photo_pm), in blocks of rows in both passes."""

    @staticmethod
    def forward(ctx: Any, text: Tensor, photo: Tensor, out: Tensor) -> Tensor:
        ctx.save_for_backward(text, photo, out)
        return torch.cat([rectified @ out for _, rectified in _relu_blocks(text, photo)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        text, photo, out = ctx.saved_tensors
        to_text, to_photo, to_out = [], torch.zeros_like(photo), torch.zeros_like(out)
        # Recompute relu block by block: keeping (N, P, M) is what this function avoids.
        for rows, rectified in _relu_blocks(text, photo):
            gradient = gradients[0][rows]  # (n, P)
            to_out += gradient.flatten() @ rectified.flatten(0, 1)
            active = rectified.sign_()  # (n, P, M) 1 where relu is the identity
            to_text.append(torch.bmm(gradient[:, None], active)[:, 0])
            to_photo += torch.einsum("np,npm->pm", gradient, active)
        return torch.cat(to_text) * out, to_photo * out, to_out


def _relu_blocks(text: Tensor, photo: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Row slices of text with (n, P, M) relu(text + photo), small enough for the cache.

    Each block overwrites the memory of the one before.
    """
    size = max(1, _BLOCK_NUMBERS // max(1, photo.numel()))
    memory = text.new_empty(size, *photo.shape)
    for start in range(0, len(text), size):
        rows = slice(start, start + size)
        part = text[rows, None]
        yield rows, torch.add(part, photo, out=memory[: len(part)]).relu_()
