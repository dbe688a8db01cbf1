"""Unoptimised reference implementations: padded, unsplit, every pair encoded anew.

Each function computes what the model in its first argument computes, as the published reference
(docs/method.md, sections 3 to 5) does. Tests compare the models with them, and ``shopsight bench``
the speed. Row i of the regions belongs to row i of the tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from shopsight import losses
from shopsight.batches.batch import PairBatch, Regions, Tokens, pad_tokens
from shopsight.models.gru import BiGRU, GRUDirection, mean_of_directions
from shopsight.models.image_encoder import ImageEncoder
from shopsight.models.label_match import LabelMatch
from shopsight.models.sentence_match import SentenceMatch
from shopsight.models.word_match import WordMatch


def encode(encoder: ImageEncoder, regions: Regions) -> Tensor:
    """(B, 1 + H, E) heads of section 3: all layers on padded regions, the last one per region."""
    packing, trunk, heads = regions.packing, encoder.trunk, encoder.heads
    features, mask = packing.pad(regions.features), packing.mask  # (B, R, F), (B, R)
    boxes = packing.pad(regions.boxes)  # (B, R, 5)
    hidden = trunk.dropout(trunk.norm(trunk.features(features) + trunk.box_mlp(boxes)))
    hidden = trunk.activation(hidden + _attention(encoder, hidden, mask))  # (B, R, G)
    hidden = trunk.feedforward(hidden)
    weights = heads.weight_mlp(hidden)[..., 0].masked_fill(~mask, -torch.inf).softmax(1)  # (B, R)
    regional = heads.output_proj(heads.embed_mlp(hidden))  # (B, R, (1 + H) E)
    pooled: Tensor = (weights[..., None] * regional).sum(1)
    return pooled.view(len(pooled), heads.count, -1)


def word_match(model: WordMatch, regions: Regions, tokens: Tokens) -> Tensor:
    """(B,) word match scores of the pairs (section 4)."""
    heads = encode(model.encoder, regions)
    return _word_scores(model, heads, tokens, _word_states(model, tokens))


def word_match_matrix(model: WordMatch, regions: Regions, tokens: Tokens) -> Tensor:
    """(Q, P) word match scores of all pairs, with the hidden layers of each pair computed anew."""
    heads, states = encode(model.encoder, regions), _word_states(model, tokens)
    queries, products = len(tokens), len(regions)
    query = torch.arange(queries).repeat_interleave(products)
    product = torch.arange(products).repeat(queries)
    scores = _word_scores(model, heads[product], tokens.take(query), states[query])
    return scores.view(queries, products)


def sentence_match(model: SentenceMatch, regions: Regions, tokens: Tokens) -> Tensor:
    """(B,) sentence match logits of the pairs (section 5)."""
    start = model.start(encode(model.encoder, regions)[:, 0])
    states = start.expand(2 * len(model.gru.forward_layers), -1, -1)
    _, finals = gru(model.gru, model.words.normalised(tokens.ids), tokens, states)
    return model.out((finals[-2] + finals[-1]) / 2)[:, 0]  # type: ignore[no-any-return]


PAIR_SCORES = (word_match, sentence_match)
"""The reference of each matching model, in the order of the registry."""


def label_logits(model: LabelMatch, regions: Regions) -> Tensor:
    """(B, V) label logits of the whole vocabulary (section 3)."""
    heads = encode(model.encoder, regions)[:, 1:]
    return (heads @ model.words.table.T).amax(1)


def label_match_loss(model: LabelMatch, batch: PairBatch, hardest: int) -> Tensor:
    """(2,) multi-label and caption loss over the whole vocabulary (section 3)."""
    tokens = batch.queries
    heads = encode(model.encoder, batch.regions.take(batch.product_idx))  # (B, 1 + H, E)
    logits = (heads[:, 1:] @ model.words.table.T).amax(1)  # (B, V)
    labels = torch.zeros_like(logits)
    for row, (ids, mask) in enumerate(zip(tokens.ids, tokens.mask, strict=True)):
        labels[row, ids[mask]] = 1.0
    special = torch.tensor(model.special)
    labels[:, special] = 0.0
    each = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    each = each.index_fill(1, special, 0.0)
    negatives = each.masked_fill(labels > 0, 0).topk(min(hardest, each.shape[1]), 1).values
    label_loss = ((each * labels).sum() + negatives.sum()) / len(tokens)
    return torch.stack([label_loss, _caption_loss(model, heads[:, 0], tokens)])


def word_match_loss(model: WordMatch, batch: PairBatch, margin: float) -> Tensor:
    """Hinge losses of word match, each photo encoded for each use (section 4)."""
    positive, wrong_product, wrong_query = _pair_scores(word_match, model, batch)
    loss = losses.margin_ranking(positive, wrong_product, margin)
    loss = loss + losses.margin_ranking(positive, wrong_query, margin)
    matrix = word_match_matrix(model, batch.regions.take(batch.product_idx), batch.queries)
    return loss + losses.max_hinge(matrix, torch.eye(len(matrix)) > 0, margin)


def sentence_match_loss(model: SentenceMatch, batch: PairBatch) -> Tensor:
    """Loss of sentence match, each photo encoded for each use (section 5)."""
    return losses.binary_cross_entropy(*_pair_scores(sentence_match, model, batch))


def _pair_scores(
    score: Callable[[Any, Regions, Tokens], Tensor], model: nn.Module, batch: PairBatch
) -> tuple[Tensor, Tensor, Tensor]:
    """(B,) scores of the clicked pairs, with a negative product, and with a negative query."""
    assert batch.negative_product_idx is not None
    assert batch.negative_queries is not None
    clicked = batch.regions.take(batch.product_idx)
    negatives = batch.regions.take(batch.negative_product_idx)
    return (
        score(model, clicked, batch.queries),
        score(model, negatives, batch.queries),
        score(model, clicked, batch.negative_queries),
    )


def gru(model: BiGRU, words: Tensor, tokens: Tokens, start: Tensor | None) -> tuple[Tensor, Tensor]:
    """(B, T, 2H) states and (2 * layers, B, H) final states of PyTorch's GRU."""
    directions = [
        _weights(direction)
        for layer in zip(model.forward_layers, model.backward_layers, strict=True)
        for direction in layer
    ]
    if start is None:
        start = words.new_zeros(len(directions), len(tokens), model.hidden)
    return _packed_gru(directions, words, tokens, start, model.dropout if model.training else 0.0)


def _attention(encoder: ImageEncoder, hidden: Tensor, mask: Tensor) -> Tensor:
    """(B, R, G) attention among padded regions by PyTorch's own layer."""
    trunk = encoder.trunk
    mixed, _ = functional.multi_head_attention_forward(
        *(hidden.transpose(0, 1),) * 3,
        trunk.qkv.out_features // 3,
        trunk.attention_heads,
        trunk.qkv.weight,
        trunk.qkv.bias,
        None,
        None,
        False,
        trunk.attention_dropout,
        trunk.out.weight,
        trunk.out.bias,
        training=trunk.training,
        key_padding_mask=~mask,
        need_weights=False,
    )
    return mixed.transpose(0, 1)


def _word_states(model: WordMatch, tokens: Tokens) -> Tensor:
    """(B, T, H) text states from padded queries."""
    states, _ = gru(model.gru, model.words.normalised(tokens.ids), tokens, None)
    return mean_of_directions(states)


def _word_scores(model: WordMatch, heads: Tensor, tokens: Tokens, states: Tensor) -> Tensor:
    """(B,) scores: [text state; head 0] of every token through one unsplit Linear."""
    similarities = (model.words.raw(tokens.ids) @ heads[:, 1:].mT).amax(2)  # (B, T)
    logits = torch.zeros_like(similarities)
    if not model.uniform:
        photo = heads[:, :1].expand(-1, tokens.ids.shape[1], -1)
        weight = torch.cat([model.text_half.weight, model.photo_half.weight], 1)
        both = functional.linear(torch.cat([states, photo], 2), weight, model.text_half.bias)
        logits = model.logits.out(model.logits.activation(both))[..., 0]
    weights = logits.masked_fill(~tokens.mask, -torch.inf).softmax(1)
    return (weights * similarities).sum(1)


def _caption_loss(model: LabelMatch, starts: Tensor, tokens: Tokens) -> Tensor:
    rows = [ids[mask].tolist() for ids, mask in zip(tokens.ids, tokens.mask, strict=True)]
    inputs = pad_tokens([[model.special.start, *row] for row in rows], model.special.pad)
    outputs = pad_tokens([[*row, model.special.end] for row in rows], model.special.pad)
    targets = model.columns(outputs.ids).masked_fill(~outputs.mask, -1)
    states, _ = _packed_gru(
        [_weights(model.decoder)], model.words.normalised(inputs.ids), inputs, starts[None]
    )
    logits = model.caption_out(states) @ model.words.raw(model.output_ids).T  # (B, T + 1, V + 1)
    return losses.caption_cross_entropy(logits.flatten(0, 1), targets.flatten(), len(rows))


def _packed_gru(
    directions: Sequence[tuple[Tensor, ...]],
    words: Tensor,
    tokens: Tokens,
    start: Tensor,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """PyTorch's GRU on (B, T, D); one direction is a layer, or each pair of directions is one."""
    packed = pack_padded_sequence(words, tokens.lengths.cpu(), True, enforce_sorted=False)
    data, finals = torch.gru(
        packed.data,
        packed.batch_sizes,
        start[:, packed.sorted_indices],
        [weight for weights in directions for weight in weights],
        True,
        (len(directions) + 1) // 2,
        dropout,
        dropout > 0,
        len(directions) > 1,
    )
    states = PackedSequence(data, *packed[1:])
    padded, _ = pad_packed_sequence(states, True, total_length=tokens.ids.shape[1])
    return padded, finals[:, packed.unsorted_indices]


def _weights(direction: nn.Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of one direction in the order of PyTorch's GRU."""
    assert isinstance(direction, GRUDirection)
    inputs, states = direction.inputs, direction.states
    return inputs.weight, states.weight, inputs.bias, states.bias
