"""Describing photos with a pretrained model: tags, and captions by greedy or beam search."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shopsight.models.image_encoder import ImageEncoding
from shopsight.models.label_match import LabelMatch
from shopsight.scoring import at_least_float32


@dataclass(frozen=True)
class Caption:
    """A caption and how likely the model finds it.

    Attributes:
        ids: its token ids, without start and end.
        log_probability: of all its tokens, and of the end where it came before the depth.
    """

    ids: tuple[int, ...]
    log_probability: float


@dataclass(frozen=True)
class Tag:
    """A word that suits a photo.

    Attributes:
        id: its token id.
        probability: that it is a label, from 0 to 1.
    """

    id: int
    probability: float


@torch.no_grad()
def tag(model: LabelMatch, code: ImageEncoding, count: int) -> list[list[Tag]]:
    """The most likely labels of B photos, best first; at most ``count`` each."""
    chances = at_least_float32(model.label_logits(code)).sigmoid()
    values, places = chances.topk(min(count, chances.shape[1]), dim=1)
    rows = zip(model.label_ids[places].tolist(), values.tolist(), strict=True)
    return [list(map(Tag, ids, best)) for ids, best in rows]


def greedy(model: LabelMatch, starts: Tensor, depth: int) -> list[Caption]:
    """Captions of B photos that take the likeliest token at each step.

    Args:
        model: in eval mode.
        starts: (B, E) caption heads.
        depth: most tokens of a caption.
    """
    return [captions[0] for captions in beam_search(model, starts, beam=1, depth=depth)]


@torch.no_grad()
def beam_search(
    model: LabelMatch, starts: Tensor, beam: int = 5, depth: int = 15
) -> list[list[Caption]]:
    """The likeliest captions of B photos, all photos at once.

    Each step keeps, for each photo, the ``beam`` likeliest beginnings and finished captions. A
    caption is finished by the end token or by its length.

    Args:
        model: in eval mode.
        starts: (B, E) caption heads.
        beam: captions kept for each photo.
        depth: most tokens of a caption.

    Returns:
        For each photo, at most ``beam`` different captions, likeliest first.
    """
    search = _Search.begin(model, starts, beam)
    for _ in range(depth):
        if search.finished.all():
            break
        search = search.step(model)
    return search.captions(model)


@dataclass(frozen=True, eq=False)
class _Search:
    """B photos with K beginnings each; a place that holds none yet has the score -inf.

    Attributes:
        states: (B, K, E) the decoder's states.
        last: (B, K) token id read next.
        scores: (B, K) log probabilities.
        finished: (B, K) bool.
        columns: (B, K, steps) columns of the tokens so far; the end's column also fills up.
    """

    states: Tensor
    last: Tensor
    scores: Tensor
    finished: Tensor
    columns: Tensor

    @classmethod
    def begin(cls, model: LabelMatch, starts: Tensor, beam: int) -> _Search:
        states = at_least_float32(starts)[:, None].expand(-1, beam, -1)
        scores = states.new_full((len(starts), beam), -torch.inf)
        scores[:, 0] = 0
        last = torch.full_like(scores, model.special.start, dtype=torch.int64)
        return cls(states, last, scores, scores != scores, last.new_zeros(*last.shape, 0))

    def step(self, model: LabelMatch) -> _Search:
        photos, beam = self.scores.shape
        gates = model.decoder.inputs(model.words.normalised(self.last.flatten()))
        states = model.decoder.cell(gates, self.states.flatten(0, 1))
        chances = at_least_float32(model.next_logits(states)).log_softmax(1)
        chances = chances.view(photos, beam, -1)  # (B, K, V + 1)
        end = chances.shape[2] - 1
        stay = torch.full_like(chances[0, 0], -torch.inf)
        stay[end] = 0
        chances = torch.where(self.finished[:, :, None], stay, chances)
        best = (self.scores[:, :, None] + chances).flatten(1).topk(beam, dim=1)
        parent, column = best.indices // (end + 1), best.indices % (end + 1)
        rows = torch.arange(photos, device=parent.device)[:, None]
        return _Search(
            states.view(photos, beam, -1)[rows, parent],
            model.output_ids[column],
            best.values,
            column == end,
            torch.cat([self.columns[rows, parent], column[:, :, None]], dim=2),
        )

    def captions(self, model: LabelMatch) -> list[list[Caption]]:
        end, found = len(model.label_ids), []
        ids = model.output_ids.tolist()
        for columns, scores in zip(self.columns.tolist(), self.scores.tolist(), strict=True):
            found.append(
                [
                    Caption(tuple(ids[column] for column in row if column != end), score)
                    for row, score in zip(columns, scores, strict=True)
                    if score > -torch.inf
                ]
            )
        return found
