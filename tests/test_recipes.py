"""Built-in recipes, recipe files, changes, and errors that name the nearest key."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from shopsight.config import Recipe
from shopsight.config.overrides import changed, keys
from shopsight.config.recipes import load_recipe, recipe_names
from shopsight.errors import InputError, UsageError
from shopsight.models.registry import model_names


def test_recipes_come_along() -> None:
    assert {"fashion", "fashion-photos", "kddcup", "kddcup-published", "photos", "tiny"} <= set(
        recipe_names()
    )
    recipes = [load_recipe(name) for name in recipe_names()]
    assert len({str(asdict(recipe)) for recipe in recipes}) == len(recipes)


def test_recipe_files_are_short_and_say_only_what_differs(repository: Path) -> None:
    paths = sorted((repository / "src/shopsight/config/recipes").glob("*.yaml"))
    assert len(paths) == len(recipe_names())
    default = asdict(Recipe())
    for path in paths:
        assert path.read_text().startswith("# ")
        settings = list(leaves(yaml.safe_load(path.read_text())))
        assert 1 <= len(settings) <= 60
        repeated = [key for key, value in settings if value_at(default, key) == value]
        assert repeated == [], path.name


def leaves(values: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        pairs += leaves(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return pairs


def value_at(values: object, key: str) -> object:
    for part in key.split("."):
        values = values[part]  # type: ignore[index]
    return values


def test_kddcup_is_the_reference(repository: Path) -> None:
    """What method.md marks [R], whatever defaults become."""
    recipe = load_recipe("kddcup")
    assert recipe.words.source == "bert-large-uncased"
    encoder = recipe.encoder
    assert (encoder.attention_heads, encoder.feedforward, encoder.label_heads) == (16, 4096, 4)
    assert (encoder.box_hidden, encoder.weight_hidden, encoder.embed_hidden) == (100, 512, 2048)
    pretrain = recipe.label_match
    assert (pretrain.train.batch, pretrain.train.lr, pretrain.train.epochs) == (200, 1e-4, 6)
    assert (pretrain.train.decay_per_epoch, pretrain.train.weight_decay) == (0.96, 1e-6)
    assert pretrain.hardest_negatives == 1000
    word, sentence = recipe.word_match, recipe.sentence_match
    assert (word.train.batch, word.margin, word.gru_hidden) == (130, 0.9, 256)
    assert word.encoder_lr == 5e-6
    assert (sentence.train.batch, sentence.train.epochs, sentence.gru_hidden) == (150, 2, 0)
    assert recipe.negatives.last_word_fraction == 0.8


def test_a_file_is_a_recipe_and_changes_come_last(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("seed: 3\nword_match: {margin: 0.5, train: {epochs: 1, lr: 1e-3}}\n")
    recipe = load_recipe(path, ["word-match.margin=0.25", "fusion.method=coordinate"])
    base = Recipe()
    assert recipe.seed == 3
    assert recipe.word_match.margin == 0.25
    assert recipe.fusion.method == "coordinate"
    # what a part does not say keeps the default of its stage, not that of the class
    assert recipe.word_match.train == replace(base.word_match.train, epochs=1, lr=1e-3)
    assert recipe.label_match == base.label_match


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("# nothing\n")
    assert load_recipe(tmp_path / "none.yaml") == Recipe()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("word_match.marginn=1", "unknown recipe key 'word_match.marginn'; did you mean"
         " 'word_match.margin'? (known in word_match: train, "),
        ("epoch=3", "unknown recipe key 'epoch'"),
        ("margin=3", "did you mean 'word_match.margin'?"),
        ("word_match.train.epoch=1", "did you mean 'word_match.train.epochs'?"),
        ("zzz=1", "unknown recipe key 'zzz'; (known at the top: seed, stages, words, "),
        ("seed=many", "recipe key 'seed' must be a whole number, not 'many'"),
        ("seed=1.5", "must be a whole number"),
        ("seed=true", "must be a whole number"),
        ("dual.margin=big", "recipe key 'dual.margin' must be a number, not 'big'"),
        ("word_match.hardest=1", "must be true or false, not 1"),
        ("dual.text=lstm", "must be transformer or gru or bag, not 'lstm'"),
        ("word_match=1", "recipe key 'word_match' holds further keys, not 1"),
        ("seed", "--set wants key=value, not 'seed'"),
        ("=1", "--set wants key=value"),
        ("seed=[1", "the value is not YAML"),
        ("word_match.margin=-1", "margin must be at least 0"),
    ],
)  # fmt: skip
def test_errors_name_the_remedy(change: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe("tiny", [change])
    assert sentence in str(caught.value)


def test_every_stage_has_its_key() -> None:
    parts = {key.split(".")[0] for key in keys(Recipe())}
    assert {stage.replace("-", "_") for stage in model_names()} <= parts


def test_unknown_recipes_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recipe 'tinny'; did you mean 'tiny'"):
        load_recipe("tinny")
    with pytest.raises(InputError, match="no such recipe file"):
        load_recipe(tmp_path / "absent.yaml")
    for text, why in (
        ("seed: [1\n", "not YAML"),
        ("- a\n- b\n", "keys and values"),
        ("\tseed: 1\n", "line 1: not YAML"),
    ):
        (tmp_path / "broken.yaml").write_text(text)
        with pytest.raises(InputError, match=why):
            load_recipe(tmp_path / "broken.yaml")


def test_a_recipe_survives_being_written_as_plain_values() -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        assert changed(Recipe(), asdict(recipe)) == recipe


def test_every_change_that_the_documents_name_is_one(repository: Path) -> None:
    count = 0
    for name in ("README.md", "docs/models.md", "docs/quickstart.md"):
        for change in re.findall(
            r"\b[a-z_]+(?:\.[a-z_0-9]+)+=[\w.]+", (repository / name).read_text()
        ):
            load_recipe("tiny", ["word_match.cache_trunk=false", change])
            count += 1
    assert count >= 9
