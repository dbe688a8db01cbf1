"""The table of word vectors: learned with the models, or a published model's, and then frozen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shopsight.config import WordVectorsConfig
from shopsight.errors import DataError, UsageError

LEARNED = "learned"


class WordVectors(nn.Module):
    """V vectors of width E and the LayerNorm that goes with them; both are saved with the model.

    Args:
        size: V, ids of the vocabulary.
        width: E.

    Attributes:
        table: (V, E), trained or frozen.
        gain: (E,) the LayerNorm's weights; never trained, like its bias and epsilon.
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
        """E, numbers per vector."""
        return self.table.shape[1]

    def raw(self, ids: Tensor) -> Tensor:
        """(..., E) vectors of token ids (...)."""
        return nn.functional.embedding(ids, self.table)

    def normalised(self, ids: Tensor) -> Tensor:
        """(..., E) the same after the LayerNorm: what recurrent layers read."""
        vectors = self.raw(ids)
        variance, mean = torch.var_mean(vectors, -1, correction=0, keepdim=True)
        return (vectors - mean) * (variance + self.epsilon).rsqrt() * self.gain + self.bias


def make_word_vectors(
    config: WordVectorsConfig, size: int, cooccurring: Sequence[Sequence[int]] = ()
) -> WordVectors:
    """Word vectors to begin a training with.

    Args:
        config: where they come from.
        size: V, ids of the vocabulary that queries are encoded with.
        cooccurring: lists of token ids that stand cooccurring, such as all words that a product was
            clicked for; only "cooccurrence" asks for them.

    Returns:
        Random vectors to be trained, or a published model's, frozen.

    Raises:
        DataError: the model cannot be read, or has fewer vectors than the vocabulary has ids.
        UsageError: transformers is not installed.
    """
    if config.source == LEARNED:
        learned = WordVectors(size, config.width)
        nn.init.normal_(learned.table, std=config.spread)
        if config.start == "cooccurrence":
            with torch.no_grad():
                _start_from(learned.table, cooccurring, config.spread)
        return learned
    model = _published(config.source)
    table = model.get_input_embeddings().weight
    if len(table) < size:
        raise DataError(
            f"'{config.source}' has {len(table)} word vectors, but the prepared vocabulary has "
            f"{size} ids; prepare the data with its tokenizer"
        )
    taken = WordVectors(size, table.shape[1]).requires_grad_(False)
    norm = _embedding_norm(model)
    with torch.no_grad():
        taken.table.copy_(table[:size])
        if norm is not None:
            taken.gain.copy_(norm.weight)
            taken.bias.copy_(norm.bias)
            taken.epsilon.fill_(norm.eps)
    return taken


def _start_from(table: Tensor, cooccurring: Sequence[Sequence[int]], spread: float) -> None:
    """Overwrite the vectors of words that stand with others (Levy and Goldberg, 2014).

    The leading singular vectors of the PPMI matrix, each word at the length that random vectors of
    this spread have on average; numbers beyond the matrix's rank stay random.
    """
    from scipy.sparse import coo_array
    from sklearn.utils.extmath import randomized_svd

    rows = [sorted(set(ids)) for ids in cooccurring]
    place = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    word = np.array([one for row in rows for one in row], np.int64)
    held = coo_array((np.ones(len(word)), (place, word)), shape=(len(rows), len(table))).tocsr()
    counts = (held.T @ held).tocoo()  # (V, V) lists that hold both words
    totals = counts.sum(axis=0)
    chance = totals[counts.row] * totals[counts.col] / max(1.0, counts.data.sum())
    counts.data = np.log(counts.data / chance).clip(min=0)
    width = min(table.shape[1], len(np.unique(word)))
    if not width:
        return
    vectors, strengths, _ = randomized_svd(counts.tocsr(), width, random_state=0)
    vectors = vectors * np.sqrt(strengths)
    lengths = np.linalg.norm(vectors, axis=1)
    known = np.flatnonzero(lengths > 1e-6 * lengths.max())
    scaled = vectors[known] / lengths[known, None] * spread * width**0.5
    table[torch.from_numpy(known), :width] = torch.from_numpy(scaled).to(table)


def _published(source: str) -> Any:
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise UsageError(
            f"word vectors '{source}' need transformers: pip install 'shopsight[photos]'"
        ) from error
    if source.startswith((".", "/", "~")) and not Path(source).is_dir():
        raise DataError(f"{source}: there is no such folder to take word vectors from")
    try:
        return AutoModel.from_pretrained(source, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"no word vectors from '{source}': {reason} (without a network give a local folder "
            f"with the model, or '{LEARNED}')"
        ) from error


def _embedding_norm(model: nn.Module) -> nn.LayerNorm | None:
    """The LayerNorm right after a model's input embeddings, such as BERT's."""
    for name, module in model.named_modules():
        if isinstance(module, nn.LayerNorm) and name.split(".")[-2:-1] == ["embeddings"]:
            return module
    return None
