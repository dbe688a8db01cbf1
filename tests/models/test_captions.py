from itertools import product

import pytest
import torch

import tinymodels as tiny
from shopsight.models.captions import beam_search, tag
from shopsight.models.label_match import LabelMatch
from tinymodels import same

LABELS = [4, 5, 6]
ALL_SHOWN = torch.ones(3, dtype=torch.bool)


@pytest.fixture
def model():
    model = (
        LabelMatch(tiny.WIDTH, tiny.words(), tiny.ENCODER, torch.tensor(LABELS), tiny.SPECIAL)
        .double()
        .eval()
    )
    for parameter in model.caption_out.parameters():
        torch.nn.init.normal_(parameter)
    return model


@pytest.fixture
def starts(model):
    return model.encoder(tiny.regions()).caption.detach()


@torch.no_grad()
def likelihood(model, start, ids, ended):
    """Log probability of a caption by the training path."""
    logits, targets = model.caption_logits(start[None], tiny.tokens([ids]) if ids else none())
    log_probs = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    return log_probs.sum() if ended else log_probs[:-1].sum()


def none():
    tokens = tiny.tokens([[4]])
    return type(tokens)(tokens.ids[:, :0], tokens.mask[:, :0])


def exhaustive(model, start, depth):
    """Every caption: those that end before the depth, and those as long as the depth."""
    captions = {}
    for length in range(depth + 1):
        for ids in product(LABELS, repeat=length):
            captions[ids] = float(likelihood(model, start, list(ids), ended=length < depth))
    return sorted(captions.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_wide_beam_is_an_exhaustive_search(model, starts, depth):
    count = sum(3**length for length in range(depth + 1))
    searched = beam_search(model, starts, beam=count + 5, depth=depth)
    assert len(searched) == 5
    for start, captions in zip(starts, searched, strict=True):
        expected = exhaustive(model, start, depth)
        assert [caption.ids for caption in captions] == [ids for ids, _ in expected]
        same(
            torch.tensor([caption.log_probability for caption in captions], dtype=torch.float64),
            torch.tensor([score for _, score in expected], dtype=torch.float64),
        )
        assert abs(sum(torch.tensor([s for _, s in expected]).exp()) - 1) < 1e-6


def test_a_narrow_beam_finds_captions_with_their_true_likelihood(model, starts):
    for start, captions in zip(starts, beam_search(model, starts, beam=2, depth=4), strict=True):
        assert len({caption.ids for caption in captions}) == len(captions) == 2
        for caption in captions:
            ended = len(caption.ids) < 4
            expected = likelihood(model, start, list(caption.ids), ended)
            assert caption.log_probability == pytest.approx(float(expected), abs=1e-9)


def test_a_beam_of_one_takes_the_most_likely_token_at_each_step(model, starts):
    for start, (caption,) in zip(starts, beam_search(model, starts, 1, 4), strict=True):
        ids = []
        for _ in range(4):
            tokens = tiny.tokens([ids]) if ids else none()
            column = int(model.caption_logits(start[None], tokens)[0][-1].argmax())
            if column == len(LABELS):
                break
            ids.append(LABELS[column])
        assert caption.ids == tuple(ids)


def test_captions_do_not_depend_on_the_other_photos(model, starts):
    together = beam_search(model, starts, beam=3, depth=3)
    alone = [beam_search(model, start[None], beam=3, depth=3)[0] for start in starts]
    assert [[caption.ids for caption in row] for row in together] == [
        [caption.ids for caption in row] for row in alone
    ]


def test_tags_are_the_most_likely_labels(model):
    encoding = model.encoder(tiny.regions())
    tags = tag(model, encoding, 2, ALL_SHOWN)
    probabilities = model.label_logits(encoding).sigmoid()
    for row, best in zip(probabilities.tolist(), tags, strict=True):
        expected = sorted(zip(row, LABELS, strict=True), reverse=True)[:2]
        assert [label.id for label in best] == [label for _, label in expected]
        assert [label.probability for label in best] == pytest.approx([p for p, _ in expected])
    assert [len(row) for row in tag(model, encoding, 9, ALL_SHOWN)] == [3] * 5
    some = tag(model, encoding, 9, torch.tensor([True, False, True]))
    assert all({label.id for label in row} == {4, 6} for row in some)
