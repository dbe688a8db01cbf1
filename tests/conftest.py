"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from shopsight.config import WorldConfig

# No test may fail because the machine is busy.
settings.register_profile("shopsight", deadline=None)
settings.load_profile("shopsight")

QUICK = """
words: {width: 32, spread: 0.3}
encoder: {attention_heads: 2, feedforward: 32, box_hidden: 8, weight_hidden: 16, embed_hidden: 32}
label_match:
  labels: product
  hardest_negatives: 20
  train: {epochs: 4, batch: 32, lr: 1e-2, checkpoint_steps: 5, workers: 0}
word_match:
  gru_hidden: 16
  match_hidden: 16
  encoder_lr: 2e-3
  train: {epochs: 2, batch: 32, lr: 3e-3, checkpoint_steps: 5, workers: 0}
sentence_match:
  gru_hidden: 16
  encoder_lr: 2e-3
  train: {epochs: 2, batch: 32, lr: 5e-3, checkpoint_steps: 5, workers: 0}
dual:
  width: 32
  out: 32
  text_layers: 1
  image_layers: 1
  phase2_epochs: 1
  train: {epochs: 3, batch: 32, lr: 3e-3, warmup_steps: 5, checkpoint_steps: 5, workers: 0}
student:
  candidates: {clicked: 2, nearest: 8, near: 4, near_depth: 30, random: 4, made: 0.3}
  train: {epochs: 2, batch: 32, lr: 1e-3, warmup_steps: 2, checkpoint_steps: 5, workers: 0}
cross:
  heads: 4
  layers: 1
  sample: 8
  candidates: {clicked: 2, nearest: 8, near: 4, near_depth: 30, random: 4}
  train: {epochs: 2, batch: 32, lr: 2e-3, warmup_steps: 2, checkpoint_steps: 5, workers: 0}
optional: [cross, student]
fusion: {normalise: zscore, steps: 20}
"""
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw folder of the small world, with train, valid and testA; read it, never write it."""
    from shopsight.demo.world import make_world

    folder = tmp_path_factory.mktemp("world") / "raw"
    config = WorldConfig(
        train_rows=600, train_products=300, eval_queries=40, eval_products=200, feature_width=16
    )
    make_world(folder, config)
    return folder


@pytest.fixture(scope="session")
def small_data(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world, prepared; read it, never write it."""
    from shopsight.prepare.kddcup.ingest import prepare_kddcup

    return prepare_kddcup(small_world, tmp_path_factory.mktemp("prepared") / "data").path


@pytest.fixture(scope="session")
def quick_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that trains every stage on the small world in seconds."""
    path = tmp_path_factory.mktemp("recipe") / "quick.yaml"
    path.write_text(QUICK)
    return path


@pytest.fixture(scope="session")
def trained(
    small_data: Path, quick_recipe: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A run folder with every stage trained, and what training printed; never write it."""
    from contextlib import redirect_stdout
    from io import StringIO

    from shopsight.cli.main import main

    folder = tmp_path_factory.mktemp("trained") / "run"
    command = ["train", str(small_data), "--recipe", str(quick_recipe), "--out", str(folder)]
    with redirect_stdout(StringIO()) as said:
        assert main([*command, "--threads", "1", "--json"]) == 0
    return folder, said.getvalue()
