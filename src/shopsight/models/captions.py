"""Tags and captions from a label-match model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shopsight.models.image_encoder import ImageEncoding
from shopsight.models.label_match import LabelMatch
from shopsight.scoring import at_least_float32


@dataclass(frozen=True)
class Caption:
    """Token ids without start and end, and their log probability.

    It includes the end token, unless the depth cut the caption off.
    """

    ids: tuple[int, ...]
    log_probability: float


@dataclass(frozen=True)
class Tag:
    """Token id of a label, and its probability from 0 to 1."""

    id: int
    probability: float


@torch.no_grad()
def tag(model: LabelMatch, encoding: ImageEncoding, count: int, shown: Tensor) -> list[list[Tag]]:
    """The ``count`` most likely labels of each of B photos among those ``shown`` (V,), in order."""
    probabilities = model.label_probabilities(encoding)[:, shown]  # (B, v)
    values, columns = probabilities.topk(min(count, probabilities.shape[1]), dim=1)
    rows = zip(model.label_ids[shown][columns].tolist(), values.tolist(), strict=True)
    return [list(map(Tag, ids, best)) for ids, best in rows]


@torch.no_grad()
def beam_search(
    model: LabelMatch, starts: Tensor, beam: int = 5, depth: int = 15
) -> list[list[Caption]]:
    """At most ``beam`` different captions of each of B photos, most likely first.

    The model must be in eval mode; ``starts`` are the caption heads (B, E). The end token or the
    depth finishes a caption. A beam of 1 is greedy search.
    """
    search = _Beams.initial(model, starts, beam)
    for _ in range(depth):
        if search.finished.all():
            break
        search = search.step(model)
    return search.captions(model)


@dataclass(frozen=True, eq=False)
class _Beams:
    """B photos with K prefixes each; an unused slot has the score -inf."""

    states: Tensor  # (B, K, E) of the decoder
    last: Tensor  # (B, K) token id to read next
    scores: Tensor  # (B, K) log probabilities
    finished: Tensor  # (B, K) bool
    columns: Tensor  # (B, K, steps) of the output so far, padded with that of the end token

    @classmethod
    def initial(cls, model: LabelMatch, starts: Tensor, beam: int) -> _Beams:
        states = at_least_float32(starts)[:, None].expand(-1, beam, -1)
        # One live slot: equal prefixes in the others would give the same caption K times.
        scores = states.new_full((len(starts), beam), -torch.inf)
        scores[:, 0] = 0
        last = torch.full_like(scores, model.special.start, dtype=torch.int64)
        finished = torch.zeros_like(last, dtype=torch.bool)
        return cls(states, last, scores, finished, last.new_zeros(*last.shape, 0))

    def step(self, model: LabelMatch) -> _Beams:
        photos, beam = self.scores.shape
        gates = model.decoder_gates(self.last.flatten())
        states = model.decoder.cell(gates, self.states.flatten(0, 1))  # (B * K, E)
        log_probs = at_least_float32(model.next_logits(states)).log_softmax(1)
        log_probs = log_probs.view(photos, beam, -1)  # (B, K, V + 1)
        end = log_probs.shape[2] - 1
        # A finished caption has one continuation, the end token again, at no cost.
        only_end = torch.full_like(log_probs[0, 0], -torch.inf)
        only_end[end] = 0
        log_probs = torch.where(self.finished[:, :, None], only_end, log_probs)
        best = (self.scores[:, :, None] + log_probs).flatten(1).topk(beam, dim=1)  # (B, K)
        parent, column = best.indices // (end + 1), best.indices % (end + 1)
        rows = torch.arange(photos, device=parent.device)[:, None]
        return _Beams(
            states.view(photos, beam, -1)[rows, parent],
            model.output_ids[column],
            best.values,
            column == end,
            torch.cat([self.columns[rows, parent], column[:, :, None]], dim=2),
        )

    def captions(self, model: LabelMatch) -> list[list[Caption]]:
        ids, end = model.output_ids.tolist(), len(model.label_ids)
        return [
            [
                Caption(tuple(ids[column] for column in row if column != end), score)
                for row, score in zip(columns, scores, strict=True)
                if score > -torch.inf
            ]
            for columns, scores in zip(self.columns.tolist(), self.scores.tolist(), strict=True)
        ]
