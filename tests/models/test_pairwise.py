import pytest
import torch

from shopsight.models.pairwise import PairwiseLogits
from tinymodels import same


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_logits_equal_those_of_all_sums(rows, monkeypatch):
    monkeypatch.setattr("shopsight.models.pairwise._BLOCK_NUMBERS", rows * 4 * 5)  # rows per block
    model = PairwiseLogits(5).double()
    text = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    photo = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    ours, naive = model(text, photo), model.of_sums(text[:, None] + photo)
    same(ours, naive)
    scale, inputs = torch.randn_like(ours), [text, photo, *model.parameters()]
    same(*(torch.autograd.grad((logits * scale).sum(), inputs) for logits in (ours, naive)))


def test_logits_pass_gradcheck():
    text, photo = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (2, 4))
    assert torch.autograd.gradcheck(PairwiseLogits(3).double(), (text, photo))
