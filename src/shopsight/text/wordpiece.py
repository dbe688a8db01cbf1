"""WordPiece tokenizers (Wu et al., 2016, in BERT's form): trained, read from a folder, fetched.

Every tokenizer that leaves this module is bare: it normalises, splits and looks up, and neither
adds, pads nor truncates, nor recognises special tokens in a text.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import WordPieceTrainer

from shopsight.errors import DataError

PREFIX = "##"
"""Prefix of a piece that continues a word."""

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
"""Special tokens of a trained tokenizer, in the order of their ids."""

TOKENIZER, BERT, BERT_SETTINGS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"


def train(texts: list[str], size: int) -> Tokenizer:
    """Train on texts; equal texts give equal tokens and ids.

    Pieces that occur once are not merged. Single characters are always kept, even beyond ``size``.
    """
    # The trainer numbers characters in the order of a hash table, which differs from process to
    # process, and breaks ties by these numbers. Named as special tokens they are numbered here.
    characters = set(_trained(texts, 0, SPECIAL).get_vocab()) - set(SPECIAL)
    characters |= {mark + c for mark in ("", PREFIX) for c in string.ascii_lowercase}
    characters |= {mark + c for mark in ("", PREFIX) for c in string.digits}
    trained = _trained(texts, size, SPECIAL + sorted(characters))
    return bare(trained, "the trained vocabulary")


def read_folder(folder: Path) -> Tokenizer:
    """Read ``tokenizer.json``, or BERT's ``vocab.txt`` with its optional settings.

    Raises:
        DataError: neither file exists, it is damaged, or it is another kind of tokenizer.
    """
    path = folder / TOKENIZER
    if path.is_file():
        try:
            return bare(Tokenizer.from_file(str(path)), str(path))
        except DataError:
            raise
        except Exception as error:  # the library raises nothing narrower
            raise DataError(f"{path}: not a tokenizer file ({error})") from error
    if (folder / BERT).is_file():
        return _read_bert(folder)
    raise DataError(f"{folder}: no tokenizer here, neither {TOKENIZER} nor {BERT}")


def fetch(name: str) -> Tokenizer:
    """Download a published tokenizer from the Hugging Face hub, or read it from the hub's cache.

    Raises:
        DataError: no such name, the hub cannot be reached, or it is another kind of tokenizer.
    """
    if name.startswith((".", "/", "~")):
        raise DataError(f"{name}: no such folder")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        wanted = [TOKENIZER, BERT, BERT_SETTINGS]
        folder = Path(snapshot_download(name, allow_patterns=wanted))
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"the Hugging Face hub cannot be reached, and '{name}' is not in its cache; "
            "give a local folder with a tokenizer instead"
        ) from error
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(f"no tokenizer '{name}' on the Hugging Face hub ({reason})") from error
    if not any((folder / file).is_file() for file in wanted[:2]):
        raise DataError(f"'{name}' on the Hugging Face hub has neither {TOKENIZER} nor {BERT}")
    return read_folder(folder)


def bare(tokenizer: Tokenizer, source: str) -> Tokenizer:
    """The same normaliser, splitter and tokens, without anything that adds or removes tokens.

    Raises:
        DataError: the model is not WordPiece.
    """
    model = tokenizer.model
    if not isinstance(model, WordPiece):
        raise DataError(
            f"{source}: a {type(model).__name__} tokenizer; only WordPiece is supported"
        )
    if model.continuing_subword_prefix != PREFIX:
        raise DataError(f"{source}: continues words with {model.continuing_subword_prefix!r}")
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    plain = Tokenizer(
        WordPiece(
            vocabulary,
            unk_token=model.unk_token,
            max_input_chars_per_word=model.max_input_chars_per_word,
        )
    )
    if tokenizer.normalizer is not None:
        plain.normalizer = tokenizer.normalizer
    plain.pre_tokenizer = tokenizer.pre_tokenizer or BertPreTokenizer()
    return plain


def spell(token: str, ids: Mapping[str, int], normal: Callable[[str], str]) -> list[int]:
    """Ids of the longest pieces that spell a token, itself if it has an id; empty if none do.

    A token without an id is normalised first.

    >>> ids = {"red": 0, "sho": 1, "##es": 2}
    >>> [spell(token, ids, str.lower) for token in ("red", "Shoes", "##es", "boots", "")]
    [[0], [1, 2], [2], [], []]
    """
    if token in ids:
        return [ids[token]]
    mark, rest = PREFIX if token.startswith(PREFIX) else "", normal(token.removeprefix(PREFIX))
    pieces = list[int]()
    while rest:
        fits = (size for size in range(len(rest), 0, -1) if mark + rest[:size] in ids)
        size = next(fits, 0)
        if not size:
            return []
        pieces.append(ids[mark + rest[:size]])
        mark, rest = PREFIX, rest[size:]
    return pieces


def _trained(texts: list[str], size: int, special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=size, min_frequency=2, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _read_bert(folder: Path) -> Tokenizer:
    try:
        lines = (folder / BERT).read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{folder / BERT}: not a list of tokens in UTF-8") from error
    settings = _read_settings(folder / BERT_SETTINGS)
    vocabulary = {token: i for i, line in enumerate(lines) if (token := line.rstrip("\r"))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=settings.get("unk_token", "[UNK]")))
    tokenizer.normalizer = BertNormalizer(
        lowercase=settings.get("do_lower_case", True),
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return bare(tokenizer, str(folder / BERT))


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if not isinstance(settings, dict):
        raise DataError(f"{path}: not a JSON object")
    return settings
