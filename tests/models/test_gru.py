import pytest
import torch

import tinymodels as tiny
from shopsight.batches.batch import Tokens
from shopsight.bench import reference_models
from shopsight.models.gru import BiGRU, TimeMajorPacking
from tinymodels import same

WIDTH, HIDDEN = 5, 4


def make_model(layers=2, dropout=0.0):
    return BiGRU(WIDTH, HIDDEN, layers, dropout).double()


def vectors(tokens):
    table = torch.randn(12, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return table[tokens.ids]


def test_time_major_layout_sorts_the_longest_row_first():
    layout = TimeMajorPacking.of(torch.tensor([1, 3, 2]))
    assert layout.sorted_indices.tolist() == [1, 2, 0]
    assert layout.batch_sizes == [3, 2, 1]
    assert layout.row_ids.tolist() == [1, 2, 0, 1, 2, 1]
    assert layout.position_ids.tolist() == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("started", [False, True])
def test_results_equal_those_of_pytorchs_gru(layers, started):
    gru, tokens = make_model(layers), tiny.tokens()
    start = torch.randn(5, HIDDEN, dtype=torch.float64, requires_grad=True) if started else None
    states, finals, layout = gru(vectors(tokens)[tokens.mask], tokens, None, start)
    every = None if start is None else start.expand(2 * layers, -1, -1)
    padded, ends = reference_models.gru(gru, vectors(tokens), tokens, every)
    same(states, padded[layout.row_ids, layout.position_ids])
    same(finals, torch.cat([ends[-2], ends[-1]], 1))
    scale = torch.arange(2 * HIDDEN)
    ours, theirs = (finals * scale).sum(), (torch.cat([ends[-2], ends[-1]], 1) * scale).sum()
    tiny.same_value_and_gradients(gru, ours, theirs, least=8 * layers)
    if start is not None:
        same(*(torch.autograd.grad(loss, start)[0] for loss in (ours, theirs)))


def test_sharing_word_projections_changes_nothing():
    gru, tokens = make_model(), tiny.tokens()
    query_idx = torch.tensor([3, 0, 3, 4, 2, 0, 1])
    start = torch.randn(7, HIDDEN, dtype=torch.float64)
    _, shared, _ = gru(vectors(tokens)[tokens.mask], tokens, query_idx, start)
    apart = Tokens(tokens.ids[query_idx], tokens.mask[query_idx])
    _, single, _ = gru(vectors(apart)[apart.mask], apart, None, start)
    same(shared, single)
    same(*(tiny.gradients((finals**2).sum(), gru) for finals in (shared, single)))


def test_padding_changes_nothing():
    gru, tokens = make_model(), tiny.tokens()
    wide = tiny.widened(tokens, 3)
    same(
        gru(vectors(wide)[wide.mask], wide)[1],
        gru(vectors(tokens)[tokens.mask], tokens)[1],
    )


def test_dropout_is_between_layers_in_training_only():
    gru, tokens = make_model(dropout=0.5), tiny.tokens()
    words = vectors(tokens)[tokens.mask]
    assert not torch.equal(gru(words, tokens)[1], gru(words, tokens)[1])
    gru.eval()
    same(gru(words, tokens)[1], gru(words, tokens)[1])


def test_states_stay_float32_in_bf16():
    gru, tokens = make_model().float(), tiny.tokens()
    words = vectors(tokens)[tokens.mask].float()
    with torch.autocast("cpu", torch.bfloat16):
        states, finals, _ = gru(words, tokens)
    assert states.dtype == finals.dtype == torch.float32
    assert (finals - gru(words, tokens)[1]).abs().max() < 0.05
