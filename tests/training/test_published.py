"""The switches of the recipe ``kddcup-published``, each against values computed by hand."""

import numpy as np
import pytest
import torch

import tinymodels as tiny
from shopsight.batches.click_dataset import ClickedPairs
from shopsight.config import FusionConfig, LabelMatchConfig, NegativesConfig, TrainConfig
from shopsight.config.recipes import load_recipe
from shopsight.data.dataset import PreparedData
from shopsight.inference.ensemble import REFERENCE, fit_ensembles
from shopsight.metrics.evaluate import Evaluator
from shopsight.models.label_match import LabelMatch
from shopsight.negatives.groups import QueryGroups, ungrouped
from shopsight.negatives.sampler import NegativeSampler
from shopsight.training.distributed import DistributedContext
from shopsight.training.factory import make_loader, make_task
from shopsight.training.optim import lr_factor
from shopsight.types import Qrels, Run

SMALL = [
    "words.source=learned",
    "words.width=6",
    "encoder.attention_heads=2",
    "encoder.feedforward=8",
    "encoder.weight_hidden=4",
    "encoder.embed_hidden=8",
]
STAGES = ("label-match", "word-match", "sentence-match")


@pytest.fixture(scope="module")
def published():
    return load_recipe("kddcup-published")


def test_the_recipe_sets_every_switch_and_nothing_else(published):
    kddcup = load_recipe("kddcup", ["dual.train.batch=512"])
    assert published.stages == STAGES
    assert published.negatives == NegativesConfig(two_coins=True)
    assert published.fusion == FusionConfig(steps=99)
    assert (published.words, published.encoder) == (kddcup.words, kddcup.encoder)
    for stage, epochs, batch in zip(STAGES, (6, 5, 2), (200, 130, 150), strict=True):
        config = published.model(stage)
        factor = 0.96 if stage == "label-match" else 0.95
        # The published epoch is used: no earlier one is validated.
        assert config.train == TrainConfig(
            epochs=epochs,
            batch=batch,
            batch_per_process=True,
            lr=1e-4,
            weight_decay=1e-6 if stage == "label-match" else 0.0,
            decay_per_epoch=factor,
            lag_epochs=1,
            eval_every_epochs=epochs,
        )
    for stage in STAGES[1:]:
        config = published.model(stage)
        assert (config.encoder_lr, config.encoder_weight_decay) == (5e-6, 1e-6)
        assert (config.cache_trunk, config.trunk_dropout) == (False, True)
        assert config.false_negatives == "duplicates"
    assert published.label_match.caption_input == "raw"


def test_the_schedule_lags_one_epoch_behind():
    config = TrainConfig(decay_per_epoch=0.5, lag_epochs=1)
    assert [lr_factor(config, epoch, 0.0, 9) for epoch in range(4)] == [1, 1, 0.5, 0.25]


@pytest.mark.parametrize(("alone", "batch", "size"), [(True, 48, 1), (False, 24, 2)])
def test_a_batch_per_process_competes_alone(small_data, alone, batch, size):
    data = PreparedData.open(small_data)
    changes = [*SMALL, f"word_match.train.batch_per_process={str(alone).lower()}"]
    recipe = load_recipe("kddcup-published", [*changes, "word_match.train.batch=24"])
    pairs = ClickedPairs.of(data, data.vocabulary(), ungrouped(data.queries("train").texts))
    context = DistributedContext(1, 2)
    task = make_task("word-match", recipe, data.vocabulary(), pairs, data.store, context=context)
    loader = make_loader(task, "word-match", recipe, pairs, data.store, context)
    assert loader.batch == batch
    assert len(loader.read(0, 0)) == batch // 2  # of this process
    assert task.context.size == size  # 1: gathers nothing from the other process


def test_the_encoder_decays_and_its_frozen_trunk_drops(small_data):
    data = PreparedData.open(small_data)
    recipe = load_recipe("kddcup-published", SMALL)
    pairs = ClickedPairs.of(data, data.vocabulary(), ungrouped(data.queries("train").texts))
    task = make_task("sentence-match", recipe, data.vocabulary(), pairs, data.store)
    encoder, added, *_ = task.parameter_groups(recipe.sentence_match.train)
    assert (encoder["lr"], encoder["weight_decay"]) == (5e-6, 1e-6)
    assert (added["lr"], added["weight_decay"]) == (1e-4, 0.0)
    regions = make_loader(
        task, "sentence-match", recipe, pairs, data.store, DistributedContext()
    ).read(0, 0).regions  # fmt: skip
    trunk = task.model.encoder.through_trunk
    assert not any(weight.requires_grad for weight in task.model.encoder.trunk.parameters())
    assert not torch.equal(trunk(regions), trunk(regions))
    task.eval()
    assert torch.equal(trunk(regions), trunk(regions))


def test_two_coins_are_independent():
    # Texts 0 to 3 share the last word, 0 and 4 to 6 the cluster; text i was clicked for product i.
    count = 7
    last_word, cluster = np.array([0, 0, 0, 0, 1, 2, 3]), np.array([0, 1, 2, 3, 0, 0, 0])
    rows = np.arange(count)
    groups = QueryGroups(
        *(a.astype(np.int32) for a in (rows, rows, last_word, cluster)),
        np.zeros((count, 0), np.int32), {},
    )  # fmt: skip
    draws, rng = 40_000, np.random.default_rng(0)
    firsts = np.zeros(draws, np.int64)
    outcomes = {}
    for two in (False, True):
        config = NegativesConfig(last_word_fraction=0.8, two_coins=two)
        drawn = NegativeSampler(groups, rows, rows, config).draw(firsts, firsts, rng)
        # Texts 1 to 3, and their products, come from the last word.
        query, product = drawn.queries <= 3, drawn.products <= 3
        outcomes[two] = [(query & product).mean(), (query & ~product).mean(), product.mean()]
    assert outcomes[False] == pytest.approx([0.8, 0.0, 0.8], abs=0.01)
    assert outcomes[True] == pytest.approx([0.64, 0.16, 0.8], abs=0.01)


def test_the_caption_reads_raw_vectors():
    def make(raw):
        torch.manual_seed(0)
        labels = torch.arange(tiny.VOCABULARY)
        settings = LabelMatchConfig(caption_input="raw" if raw else "normalised")
        parts = (tiny.WIDTH, tiny.words(), tiny.ENCODER, labels, tiny.SPECIAL, settings)
        return LabelMatch(*parts).double()

    model = make(raw=True)
    start = torch.linspace(-1, 1, tiny.WORD_WIDTH, dtype=torch.float64)
    logits, _ = model.caption_logits(start[None], tiny.tokens([[7]]))
    # The GRU by its equations (Cho et al., 2014), in torch's order of gates: reset, update, new.
    inward, outward = model.decoder.inputs, model.decoder.states
    state, expected = start, []
    for token in (tiny.SPECIAL.start, 7):
        x = (inward.weight @ model.words.table[token] + inward.bias).chunk(3)
        h = (outward.weight @ state + outward.bias).chunk(3)
        reset, update = (x[0] + h[0]).sigmoid(), (x[1] + h[1]).sigmoid()
        new = (x[2] + reset * h[2]).tanh()
        state = (1 - update) * new + update * state
        expected.append(model.next_logits(state))
    tiny.same(logits, torch.stack(expected))
    normalised, _ = make(raw=False).caption_logits(start[None], tiny.tokens([[7]]))
    assert (normalised - logits).abs().max() > 1e-3


@pytest.mark.parametrize(("steps", "weight"), [(99, 62 / 99), (100, 63 / 100)])
def test_the_grid_has_a_hundred_weights(steps, weight):
    # The first run orders one way, the second the other; the sums change order at
    # t = 1.674 / 2.674 = 0.62603, after which 62/99 is the first of 0, 1/99, ..., 1.
    first, second = {"b": 1.0, "a": 0.0}, {"b": 0.0, "a": 1.674}
    runs = {
        name: Run.from_dict({"1": scores, "2": scores})
        for name, scores in (("word-match", first), ("sentence-match", second))
    }
    evaluator = Evaluator(Qrels({"1": {"b": 1}, "2": {"b": 1}}))
    ensembles = fit_ensembles(runs, evaluator, "hit@1", FusionConfig(steps=steps), seed=0)
    assert ensembles[0].ensemble.name == REFERENCE
    assert ensembles[0].ensemble.weights["word-match"] == pytest.approx(weight)
