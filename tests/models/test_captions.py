from itertools import product

import pytest
import torch

from shopsight.models.captions import beam_search, greedy, tag
from shopsight.models.label_match import LabelMatch
from tinymodels import ENCODER, SPECIAL, WIDTH, same, some_regions, some_tokens, some_words

LABELS = [4, 5, 6]


@pytest.fixture
def model():
    made = LabelMatch(WIDTH, some_words(), ENCODER, torch.tensor(LABELS), SPECIAL).double().eval()
    for parameter in made.caption_out.parameters():
        torch.nn.init.normal_(parameter)
    return made


@pytest.fixture
def starts(model):
    return model.encoder(some_regions()).caption.detach()


@torch.no_grad()
def likelihood(model, start, ids, ended):
    """Log probability of a caption by the training path."""
    logits, targets = model.caption_logits(start[None], some_tokens([ids]) if ids else none())
    chances = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    return chances.sum() if ended else chances[:-1].sum()


def none():
    tokens = some_tokens([[4]])
    return type(tokens)(tokens.ids[:, :0], tokens.mask[:, :0])


def exhaustive(model, start, depth):
    """Every caption: those that end before the depth, and those as long as the depth."""
    found = {}
    for length in range(depth + 1):
        for ids in product(LABELS, repeat=length):
            found[ids] = float(likelihood(model, start, list(ids), ended=length < depth))
    return sorted(found.items(), key=lambda one: -one[1])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_wide_beam_is_an_exhaustive_search(model, starts, depth):
    count = sum(3**length for length in range(depth + 1))
    searched = beam_search(model, starts, beam=count + 5, depth=depth)
    assert len(searched) == 5
    for start, captions in zip(starts, searched, strict=True):
        expected = exhaustive(model, start, depth)
        assert [one.ids for one in captions] == [ids for ids, _ in expected]
        same(
            torch.tensor([one.log_probability for one in captions], dtype=torch.float64),
            torch.tensor([score for _, score in expected], dtype=torch.float64),
        )
        assert abs(sum(torch.tensor([s for _, s in expected]).exp()) - 1) < 1e-6


def test_a_narrow_beam_finds_captions_with_their_true_likelihood(model, starts):
    for start, captions in zip(starts, beam_search(model, starts, beam=2, depth=4), strict=True):
        assert len({one.ids for one in captions}) == len(captions) == 2
        for one in captions:
            ended = len(one.ids) < 4
            expected = likelihood(model, start, list(one.ids), ended)
            assert one.log_probability == pytest.approx(float(expected), abs=1e-9)


def test_greedy_takes_the_likeliest_token_each_time(model, starts):
    for start, caption in zip(starts, greedy(model, starts, depth=4), strict=True):
        ids = []
        for _ in range(4):
            tokens = some_tokens([ids]) if ids else none()
            column = int(model.caption_logits(start[None], tokens)[0][-1].argmax())
            if column == len(LABELS):
                break
            ids.append(LABELS[column])
        assert caption.ids == tuple(ids)


def test_photos_do_not_disturb_each_other(model, starts):
    together = beam_search(model, starts, beam=3, depth=3)
    alone = [beam_search(model, start[None], beam=3, depth=3)[0] for start in starts]
    assert [[one.ids for one in row] for row in together] == [
        [one.ids for one in row] for row in alone
    ]


def test_tags_are_the_likeliest_labels(model):
    code = model.encoder(some_regions())
    tags = tag(model, code, count=2)
    chances = model.label_logits(code).sigmoid()
    for row, found in zip(chances.tolist(), tags, strict=True):
        expected = sorted(zip(row, LABELS, strict=True), reverse=True)[:2]
        assert [one.id for one in found] == [label for _, label in expected]
        assert [one.probability for one in found] == pytest.approx([best for best, _ in expected])
    assert [len(row) for row in tag(model, code, count=9)] == [3] * 5
