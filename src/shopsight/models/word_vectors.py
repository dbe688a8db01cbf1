"""Word vectors: learned with a model, or taken from a published one and frozen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from shopsight.config import LEARNED, WordVectorsConfig
from shopsight.errors import DataError, UsageError
from shopsight.formats.hub import hub_access
from shopsight.text.vocabulary import Vocabulary, load_vocabulary


class WordVectors(nn.Module):
    """V word vectors of dimension E, with the LayerNorm that follows them.

    The ``table`` is learned or frozen; ``gain``, ``bias`` and ``epsilon`` are never trained.
    """

    gain: Tensor
    bias: Tensor
    epsilon: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(size, width))
        self.register_buffer("gain", torch.ones(width))
        self.register_buffer("bias", torch.zeros(width))
        self.register_buffer("epsilon", torch.tensor([1e-12]))

    @property
    def width(self) -> int:
        """E, the dimension of a vector."""
        return self.table.shape[1]

    def raw(self, ids: Tensor) -> Tensor:
        """(..., E) vectors of token ids (...)."""
        return nn.functional.embedding(ids, self.table)

    def normalised(self, ids: Tensor) -> Tensor:
        """(..., E) vectors after the LayerNorm, the input of recurrent layers."""
        vectors = self.raw(ids)
        variance, mean = torch.var_mean(vectors, -1, correction=0, keepdim=True)
        return (vectors - mean) * (variance + self.epsilon).rsqrt() * self.gain + self.bias


def make_word_vectors(
    config: WordVectorsConfig, size: int, cooccurring: Sequence[Sequence[int]] = ()
) -> WordVectors:
    """Create random word vectors to train; see `published_word_vectors` for frozen ones.

    The start "cooccurrence" needs lists of token ids that occur together, such as all words that a
    product was clicked for.

    """
    learned = WordVectors(size, config.width)
    nn.init.normal_(learned.table, std=config.spread)
    if config.start == "cooccurrence":
        with torch.no_grad():
            _init_from_cooccurrence(learned.table, cooccurring, config.spread)
    return learned


def published_word_vectors(source: str, vocabulary: Vocabulary) -> WordVectors:
    """Take the frozen vectors of a published model for the tokens of a vocabulary.

    Args:
        source: a folder, or a name on the Hugging Face hub, with a model and its tokenizer.
        vocabulary: each token gets its own vector by its text, never by its id; one that the model
            splits into pieces gets their mean, and one that it cannot read that of its unknown
            token.

    Raises:
        DataError: the model or its tokenizer is not readable, or does not fit; see
            `spell_vocabulary`.
        UsageError: transformers is not installed.
    """
    model, spelled = _load_published(source), spell_vocabulary(source, vocabulary)
    table = model.get_input_embeddings().weight.detach()
    if len(table) <= max(map(max, spelled)):
        raise DataError(f"{source}: its tokenizer has more tokens than its {len(table)} vectors")
    frozen = WordVectors(vocabulary.size, table.shape[1]).requires_grad_(False)
    norm = _embedding_norm(model)
    with torch.no_grad():
        frozen.table.copy_(torch.stack([table[ids].mean(0) for ids in spelled]))
        if norm is not None:
            frozen.gain.copy_(norm.weight)
            frozen.bias.copy_(norm.bias)
            frozen.epsilon.fill_(norm.eps)
    return frozen


def spell_vocabulary(source: str, vocabulary: Vocabulary) -> list[list[int]]:
    """For each token of a vocabulary, the ids of a model's tokens that spell it.

    Raises:
        DataError: no readable tokenizer, or one that has less than half of the words.
    """
    other = load_vocabulary(source)
    spelled = vocabulary.spelled_by(other)
    words = [i for i, token in enumerate(vocabulary.tokens) if len(token) > 1 and token.isalpha()]
    own = sum(len(spelled[i]) == 1 for i in words)
    if 2 * own < len(words):
        raise DataError(
            f"{source}: has vectors for {own} of the vocabulary's {len(words)} words; prepare the"
            f" data with its tokenizer (--tokenizer {source}), or set words.source={LEARNED}"
        )
    return [ids or [other.unk] for ids in spelled]


def _init_from_cooccurrence(
    table: Tensor, cooccurring: Sequence[Sequence[int]], spread: float
) -> None:
    """Initialise words from the SVD of their PPMI matrix (Levy and Goldberg, 2014).

    Each word gets the mean length of random vectors of this spread. Dimensions beyond the rank of
    the matrix, and words that occur with no other, keep their random values.
    """
    from scipy.sparse import coo_array
    from sklearn.utils.extmath import randomized_svd

    lists = [sorted(set(ids)) for ids in cooccurring]
    row = np.repeat(np.arange(len(lists)), [len(ids) for ids in lists])
    word = np.array([i for ids in lists for i in ids], np.int64)
    shape = (len(lists), len(table))
    incidence = coo_array((np.ones(len(word)), (row, word)), shape=shape).tocsr()
    counts = (incidence.T @ incidence).tocoo()  # (V, V) lists that contain both words
    totals = counts.sum(axis=0)
    expected = totals[counts.row] * totals[counts.col] / max(1.0, counts.data.sum())
    counts.data = np.log(counts.data / expected).clip(min=0)
    width = min(table.shape[1], len(np.unique(word)))
    if not width:
        return
    vectors, singular_values, _ = randomized_svd(counts.tocsr(), width, random_state=0)
    vectors = vectors * np.sqrt(singular_values)
    lengths = np.linalg.norm(vectors, axis=1)
    # Rounding leaves words without any co-occurrence a tiny, meaningless direction.
    ids = np.flatnonzero(lengths > 1e-6 * lengths.max())
    scaled = vectors[ids] / lengths[ids, None] * spread * width**0.5
    table[torch.from_numpy(ids), :width] = torch.from_numpy(scaled).to(table)


def _load_published(source: str) -> Any:
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise UsageError(
            f"word vectors '{source}' need transformers: pip install 'shopsight[photos]'"
        ) from error
    if source.startswith((".", "/", "~")) and not Path(source).is_dir():
        raise DataError(f"{source}: no such folder to load word vectors from")
    try:
        with hub_access():
            return AutoModel.from_pretrained(source, dtype=torch.float32)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"cannot load word vectors from '{source}': {reason} (without a network, use a local"
            f" folder with the model, or '{LEARNED}')"
        ) from error


def _embedding_norm(model: nn.Module) -> nn.LayerNorm | None:
    """The LayerNorm right after a model's input embeddings, as in BERT."""
    for name, module in model.named_modules():
        if isinstance(module, nn.LayerNorm) and name.split(".")[-2:-1] == ["embeddings"]:
            return module
    return None
