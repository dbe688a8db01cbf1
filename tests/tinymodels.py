"""Inputs of tiny float64 models: five photos with a few regions and five short queries."""

from __future__ import annotations

import torch

from shopsight.batches.batch import PairBatch, Regions, Tokens, pad_tokens
from shopsight.config import EncoderConfig, WordVectorsConfig
from shopsight.models.label_match import SpecialIds
from shopsight.models.word_vectors import WordVectors, make_word_vectors

WIDTH, WORD_WIDTH, VOCABULARY = 8, 6, 12
LENGTHS = [2, 1, 4, 2, 3]
QUERIES = [[4, 5], [6], [7, 8, 9, 4], [10, 11, 5], [4, 4]]
ALL = torch.arange(5)
WRONG = [[11], [5, 6, 7], [8, 4], [9], [6, 5, 10, 4]]
SPECIAL = SpecialIds(pad=0, unk=1, start=2, end=3)
ENCODER = EncoderConfig(
    box_hidden=3,
    attention_heads=2,
    feedforward=10,
    weight_hidden=5,
    embed_hidden=7,
    label_heads=3,
    dropout=0.0,  # else two implementations could not be compared
)


def regions(lengths: list[int] = LENGTHS, seed: int = 1) -> Regions:
    generator, count = torch.Generator().manual_seed(seed), sum(lengths)
    features = torch.randn(count, WIDTH, dtype=torch.float64, generator=generator).abs()
    boxes = torch.rand(count, 5, dtype=torch.float64, generator=generator)
    return Regions(features, boxes, torch.tensor(lengths))


def tokens(rows: list[list[int]] = QUERIES) -> Tokens:
    return pad_tokens(rows, SPECIAL.pad)


def batch() -> PairBatch:
    """Query i is clicked for product i; its negative product is the next one."""
    negatives = {"negative_queries": tokens(WRONG), "negative_product_idx": ALL.roll(-1)}
    return PairBatch(regions(), tokens(), ALL, ALL, ALL, **negatives)


def words(size: int = VOCABULARY) -> WordVectors:
    vectors = make_word_vectors(WordVectorsConfig(width=WORD_WIDTH, spread=1.0), size)
    torch.nn.init.uniform_(vectors.gain, 0.5, 1.5)
    return vectors.double()


def widened(tokens: Tokens, columns: int, fill: int = 7) -> Tokens:
    """Add columns of padding that looks like a real token."""
    mask = torch.nn.functional.pad(tokens.mask, (0, columns))
    ids = torch.nn.functional.pad(tokens.ids, (0, columns)).masked_fill(~mask, fill)
    return Tokens(ids, mask)


def gradients(value: torch.Tensor, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Gradients of all parameters on which the value depends."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    parameters = [p for _, p in named]
    values = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
    return {name: g for (name, _), g in zip(named, values, strict=True) if g is not None}


def same(left, right, **tolerance) -> None:
    """Assert that tensors, or dictionaries of tensors, are equal to 1e-9."""
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9, **tolerance)


def same_value_and_gradients(model, left, right, least: int) -> None:
    """Assert equal values and equal nonzero gradients of at least ``least`` parameters."""
    same(left, right)
    ours, theirs = gradients(left, model), gradients(right, model)
    assert len(ours) >= least
    same(ours, theirs)
    assert all(gradient.abs().max() > 0 for gradient in ours.values())


def encode(model, queries: Tokens | None = None, products: Regions | None = None):
    """Encodings of queries and products, by default of the five of each."""
    return model.encode_queries(queries or tokens()), model.encode_products(products or regions())


def same_as_reference(model, ours, reference, least: int) -> None:
    """Assert equal scores, and equal gradients of a sum that weights each score differently."""
    same(ours, reference)
    weights = torch.linspace(-1, 2, ours.numel(), dtype=torch.float64).view_as(ours)
    same_value_and_gradients(model, (ours * weights).sum(), (reference * weights).sum(), least)
