"""A bidirectional GRU that runs real tokens only and can share the words of several rows.

Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, in the form that
PyTorch's GRU has. Tokens are laid out step by step: first tokens of all rows, then second tokens
of the rows that have one, and so on, the longest row first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from shopsight.batches.batch import Tokens
from shopsight.scoring import at_least_float32


@dataclass(frozen=True, eq=False)
class Steps:
    """How N rows of tokens, M in all, are laid out step by step.

    Attributes:
        row_ids: (M,) the row of each token.
        position_ids: (M,) its place in the row.
        order: (N,) the rows, longest first.
        sizes: rows that are still running at each step; they are the first of ``order``.
    """

    row_ids: Tensor
    position_ids: Tensor
    order: Tensor
    sizes: list[int]

    @classmethod
    def of(cls, lengths: Tensor) -> Steps:
        """From the (N,) tokens of each row."""
        ordered, order = lengths.sort(descending=True, stable=True)
        longest = int(ordered[0]) if len(ordered) else 0
        running = torch.arange(longest, device=lengths.device)[:, None] < ordered  # (T, N)
        position, place = running.nonzero(as_tuple=True)
        return cls(order[place], position, order, running.sum(1).tolist())

    def unsort(self, states: Tensor) -> Tensor:
        """(N, ...) states of rows in the order of ``order``, put back into the order of rows."""
        return states[self.order.argsort()]


class GRUDirection(nn.Module):
    """One direction of one layer.

    Args:
        width: numbers per input.
        hidden: numbers per state.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inputs, self.states = nn.Linear(width, 3 * hidden), nn.Linear(hidden, 3 * hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def cell(self, gates: Tensor, state: Tensor) -> Tensor:
        """(n, H) next states from input gates (n, 3H) and states (n, H)."""
        hidden = state.shape[1]
        moved = at_least_float32(self.states(state))
        gates = at_least_float32(gates)
        reset, update = (gates[:, : 2 * hidden] + moved[:, : 2 * hidden]).sigmoid().chunk(2, 1)
        new = (gates[:, 2 * hidden :] + reset * moved[:, 2 * hidden :]).tanh()
        return torch.lerp(new, state, update)

    def scan_forward(self, gates: Tensor, steps: Steps, start: Tensor) -> tuple[Tensor, Tensor]:
        """(M, H) states after each token and (N, H) last states, in the order of ``steps``."""
        state, outputs, done = start, [], []
        for step in torch.split(gates, steps.sizes):
            if len(step) < len(state):
                state, ended = torch.split(state, [len(step), len(state) - len(step)])
                done.append(ended)
            state = self.cell(step, state)
            outputs.append(state)
        return torch.cat(outputs), torch.cat([state, *reversed(done)])

    def scan_backward(self, gates: Tensor, steps: Steps, start: Tensor) -> tuple[Tensor, Tensor]:
        """The same from the last token of each row to its first."""
        state, outputs = start[:0], []
        for step in reversed(torch.split(gates, steps.sizes)):
            if len(step) > len(state):
                state = torch.cat([state, start[len(state) : len(step)]])
            state = self.cell(step, state)
            outputs.append(state)
        return torch.cat(outputs[::-1]), state


class BiGRU(nn.Module):
    """Layers of two directions; every layer starts from the same states.

    Args:
        width: numbers per word.
        hidden: H, numbers per state of a direction.
        layers: how many.
        dropout: dropout between layers.
    """

    def __init__(self, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [width] + [2 * hidden] * (layers - 1)
        self.hidden, self.dropout = hidden, dropout
        self.forward_layers = nn.ModuleList(GRUDirection(one, hidden) for one in widths)
        self.backward_layers = nn.ModuleList(GRUDirection(one, hidden) for one in widths)

    def forward(
        self,
        words: Tensor,
        tokens: Tokens,
        query_idx: Tensor | None = None,
        start: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Steps]:
        """Run the GRU over rows; the first layer reads each query's words once.

        Args:
            words: (L, D) vectors of the L real tokens, query after query.
            tokens: Q queries.
            query_idx: (N,) the query of each row; each query is one row if None.
            start: (N, H) state that all layers and directions of a row start from; 0 if None.

        Returns:
            (M, 2H) the last layer's states after each token, (N, 2H) its final states in the
            order of rows, and how the M tokens are laid out.
        """
        lengths = tokens.lengths
        firsts = lengths.cumsum(0) - lengths
        if query_idx is not None:
            lengths, firsts = lengths[query_idx], firsts[query_idx]
        steps = Steps.of(lengths)
        if start is None:
            start = at_least_float32(words).new_zeros(len(lengths), self.hidden)
        start = at_least_float32(start)[steps.order]
        word_idx = firsts[steps.row_ids] + steps.position_ids  # (M,)
        inputs, finals = words, start
        for depth, (ahead, back) in enumerate(self._layers()):
            gates = [direction.inputs(inputs) for direction in (ahead, back)]
            if depth == 0:
                gates = [one[word_idx] for one in gates]
            forward_out, forward_final = ahead.scan_forward(gates[0], steps, start)
            backward_out, backward_final = back.scan_backward(gates[1], steps, start)
            outputs = torch.cat([forward_out, backward_out], 1)
            finals = torch.cat([forward_final, backward_final], 1)
            inputs = functional.dropout(outputs, self.dropout, self.training)
        return outputs, steps.unsort(finals), steps

    def _layers(self) -> Iterator[tuple[GRUDirection, GRUDirection]]:
        for ahead, back in zip(self.forward_layers, self.backward_layers, strict=True):
            assert isinstance(ahead, GRUDirection)
            assert isinstance(back, GRUDirection)
            yield ahead, back
