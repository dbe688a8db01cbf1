"""Packed bidirectional GRU, with word projections shared by rows of the same query.

Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, with the gates of
PyTorch's `nn.GRU`, which could not share the input projections of a query among its products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.batches.batch import Tokens
from shopsight.scoring import at_least_float32


@dataclass(frozen=True, eq=False)
class TimeMajorPacking:
    """Layout of the M tokens of N rows by time step, like `nn.utils.rnn.PackedSequence`.

    The first tokens of all rows, then the second tokens of the rows that have one, and so on.
    """

    row_ids: Tensor  # (M,) row of each token
    position_ids: Tensor  # (M,) its position in the row
    sorted_indices: Tensor  # (N,) the rows, longest first
    batch_sizes: list[int]  # rows that still run at each step, a prefix of ``sorted_indices``

    @classmethod
    def of(cls, lengths: Tensor) -> TimeMajorPacking:
        """Derive the layout from row lengths (N,)."""
        ordered, indices = lengths.sort(descending=True, stable=True)
        longest = int(ordered[0]) if len(ordered) else 0
        running = torch.arange(longest, device=lengths.device)[:, None] < ordered  # (T, N)
        position_ids, rank = running.nonzero(as_tuple=True)
        return cls(indices[rank], position_ids, indices, running.sum(1).tolist())


class GRUDirection(nn.Module):
    """One direction of one layer, with states of dimension H = ``hidden``."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inputs, self.states = nn.Linear(width, 3 * hidden), nn.Linear(hidden, 3 * hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def cell(self, gates: Tensor, state: Tensor) -> Tensor:
        """(n, H) next states from input gates (n, 3H) and states (n, H), in float32."""
        hidden = state.shape[1]
        recurrent, gates = at_least_float32(self.states(state)), at_least_float32(gates)
        reset, update = (gates[:, : 2 * hidden] + recurrent[:, : 2 * hidden]).sigmoid().chunk(2, 1)
        new = (gates[:, 2 * hidden :] + reset * recurrent[:, 2 * hidden :]).tanh()
        return torch.lerp(new, state, update)

    def scan_forward(
        self, gates: Tensor, packing: TimeMajorPacking, start: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(M, H) states after each token and (N, H) sorted final states.

        From input gates (M, 3H) and sorted initial states (N, H).
        """
        state, outputs, finished = start, [], []
        for step in torch.split(gates, packing.batch_sizes):
            if len(step) < len(state):
                state, ended = torch.split(state, [len(step), len(state) - len(step)])
                finished.append(ended)
            state = self.cell(step, state)
            outputs.append(state)
        # The shortest rows, which are last in sorted order, finish first.
        return torch.cat(outputs), torch.cat([state, *reversed(finished)])

    def scan_backward(
        self, gates: Tensor, packing: TimeMajorPacking, start: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`scan_forward` from the last token of each row to its first."""
        state, outputs = start[:0], []
        for step in reversed(torch.split(gates, packing.batch_sizes)):
            if len(step) > len(state):
                state = torch.cat([state, start[len(state) : len(step)]])
            state = self.cell(step, state)
            outputs.append(state)
        return torch.cat(outputs[::-1]), state


class BiGRU(nn.Module):
    """Bidirectional GRU whose layers all start from the same states; H is ``hidden``."""

    def __init__(self, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [width] + [2 * hidden] * (layers - 1)
        self.hidden, self.dropout = hidden, dropout
        self.forward_layers = nn.ModuleList(GRUDirection(width, hidden) for width in widths)
        self.backward_layers = nn.ModuleList(GRUDirection(width, hidden) for width in widths)

    def forward(
        self,
        words: Tensor,
        tokens: Tokens,
        query_idx: Tensor | None = None,
        start: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, TimeMajorPacking]:
        """Run over N rows of words; the first layer projects each query's words once.

        Args:
            words: (L, D) vectors of the L real tokens, query after query.
            tokens: Q queries.
            query_idx: (N,) query of each row; by default each query is a row.
            start: (N, H) initial states of all layers and directions; zeros by default.

        Returns:
            (M, 2H) states of the last layer after each token, its (N, 2H) final states in the
            order of rows, and the layout of the M tokens.
        """
        lengths = tokens.lengths
        offsets = lengths.cumsum(0) - lengths
        if query_idx is not None:
            lengths, offsets = lengths[query_idx], offsets[query_idx]
        packing = TimeMajorPacking.of(lengths)
        if start is None:
            start = at_least_float32(words).new_zeros(len(lengths), self.hidden)
        start = at_least_float32(start)[packing.sorted_indices]
        word_idx = offsets[packing.row_ids] + packing.position_ids  # (M,)
        inputs, finals = words, start
        layers: Any = zip(self.forward_layers, self.backward_layers, strict=True)
        for depth, (ahead, back) in enumerate(layers):
            gates = [direction.inputs(inputs) for direction in (ahead, back)]
            if depth == 0:
                # (L, 3H) to (M, 3H): rows of the same query share the projections of its words.
                gates = [projected[word_idx] for projected in gates]
            forward_out, forward_final = ahead.scan_forward(gates[0], packing, start)
            backward_out, backward_final = back.scan_backward(gates[1], packing, start)
            outputs = torch.cat([forward_out, backward_out], 1)  # (M, 2H)
            finals = torch.cat([forward_final, backward_final], 1)  # (N, 2H)
            inputs = functional.dropout(outputs, self.dropout, self.training)
        return outputs, finals[packing.sorted_indices.argsort()], packing


def mean_of_directions(states: Tensor) -> Tensor:
    """(..., H) mean of the two directions of states (..., 2H)."""
    ahead, back = states.chunk(2, dim=-1)
    return (ahead + back) / 2
