import pytest
import torch

from shopsight.batches.augment import drop_token, mask_token
from shopsight.batches.batch import Tokens, pad_tokens

QUERIES = [[3, 4, 5], [6], [7, 8]]


def rows(tokens: Tokens) -> list[list[int]]:
    return [ids[mask].tolist() for ids, mask in zip(tokens.ids, tokens.mask, strict=True)]


@pytest.mark.parametrize("change", [lambda t: mask_token(t, 0, 1), lambda t: drop_token(t, 0)])
def test_probability_zero_changes_nothing(change):
    tokens = pad_tokens(QUERIES, 0)
    assert change(tokens) is tokens


def test_at_most_one_token_is_replaced_uniformly():
    torch.manual_seed(0)
    tokens = pad_tokens([[3, 4, 5]] * 9000, 0)
    changed = mask_token(tokens, 0.1, 1)
    replaced = changed.ids == 1
    assert replaced.sum(1).max() == 1
    assert torch.equal(changed.ids[~replaced], tokens.ids[~replaced])
    assert replaced.float().mean(0).tolist() == pytest.approx([0.1] * 3, abs=0.015)


def test_padding_is_never_replaced():
    torch.manual_seed(0)
    changed = mask_token(pad_tokens(QUERIES * 50, 0), 0.5, 1)
    assert not (changed.ids[~changed.mask] == 1).any()
    assert (changed.ids[1::3, 0] == 1).float().mean() == pytest.approx(0.5, abs=0.2)


def test_a_token_is_dropped_and_later_ones_move_left():
    torch.manual_seed(0)
    changed = rows(drop_token(pad_tokens(QUERIES * 60, 0), 1.0))
    assert {tuple(row) for row in changed[0::3]} == {(4, 5), (3, 5), (3, 4)}
    assert {tuple(row) for row in changed[1::3]} == {(6,)}  # the only word stays
    assert {tuple(row) for row in changed[2::3]} == {(7,), (8,)}


def test_masks_stay_contiguous():
    torch.manual_seed(1)
    changed = drop_token(pad_tokens(QUERIES * 60, 0), 0.3)
    lengths = changed.mask.sum(1)
    assert torch.equal(changed.mask, torch.arange(3) < lengths[:, None])
    assert set((lengths - pad_tokens(QUERIES * 60, 0).lengths).tolist()) == {0, -1}
