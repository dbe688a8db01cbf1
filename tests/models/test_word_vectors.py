from pathlib import Path

import pytest
import torch

from shopsight.config import WordVectorsConfig
from shopsight.errors import DataError
from shopsight.models.word_vectors import (
    WordVectors,
    make_word_vectors,
    published_word_vectors,
)
from shopsight.text.vocabulary import Vocabulary, load_vocabulary
from tinymodels import same

# Another order of the special tokens, other ids of the words, and other words.
BERT = ["[CLS]", "[UNK]", "[SEP]", "sofa", "red", "[PAD]", "shoe", "##s", "blue", "boot", "dress"]
OURS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "dress", "red", "shoes", "##s", "zebra", "Sofa"]


def write_tokens(folder: Path, tokens: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=len(BERT),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=4,
        layer_norm_eps=1e-3,
    )
    model = transformers.BertModel(config).eval()
    torch.nn.init.normal_(model.embeddings.LayerNorm.weight)
    folder = write_tokens(tmp_path_factory.mktemp("bert"), BERT)
    model.save_pretrained(folder)
    return model, folder


def ours(tmp_path, tokens=OURS) -> Vocabulary:
    return load_vocabulary(write_tokens(tmp_path / "ours", tokens))


def test_a_published_models_embeddings_and_norm_are_frozen(bert):
    model, folder = bert
    words = published_word_vectors(str(folder), load_vocabulary(folder))
    ids = torch.tensor([[3, 8, 0]])
    assert torch.equal(words.table, model.embeddings.word_embeddings.weight)
    normed = model.embeddings.LayerNorm(model.embeddings.word_embeddings(ids))
    torch.testing.assert_close(words.normalised(ids), normed.detach(), rtol=1e-5, atol=1e-5)
    assert (words.width, words.table.shape) == (8, (11, 8))
    assert not any(p.requires_grad for p in words.parameters())


def test_tokens_find_their_vectors_by_text_and_not_by_id(bert, tmp_path):
    model, folder = bert
    table = model.embeddings.word_embeddings.weight.detach()
    words = published_word_vectors(str(folder), ours(tmp_path)).table
    rows = {token: table[i] for i, token in enumerate(BERT)}
    pieces = torch.stack([rows["shoe"], rows["##s"]]).mean(0)
    for i, token in enumerate(OURS):
        expected = {"shoes": pieces, "zebra": rows["[UNK]"], "Sofa": rows["sofa"]}
        assert torch.equal(words[i], expected.get(token, rows.get(token))), token


def test_a_vocabulary_of_other_words_is_rejected(bert, tmp_path):
    other = ours(tmp_path, [*OURS[:4], "hat", "coat", "sofa"])
    with pytest.raises(DataError, match=r"bert\d*: has vectors for 1 of the vocabulary's 3 words;"):
        published_word_vectors(str(bert[1]), other)


def test_a_model_without_tokenizer_is_rejected(bert, tmp_path):
    bert[0].save_pretrained(tmp_path / "bare")
    with pytest.raises(DataError, match=r"bare: no tokenizer here"):
        published_word_vectors(str(tmp_path / "bare"), ours(tmp_path))


def test_a_tokenizer_of_more_tokens_than_vectors_is_rejected(bert, tmp_path):
    bert[0].save_pretrained(tmp_path / "more")
    write_tokens(tmp_path / "more", [*BERT, "hat"])
    with pytest.raises(DataError, match=r"more: its tokenizer has more tokens than its 11 vectors"):
        published_word_vectors(str(tmp_path / "more"), ours(tmp_path, [*OURS, "hat"]))


def test_damaged_weights_are_rejected(bert, tmp_path):
    bert[0].save_pretrained(tmp_path / "cut")
    write_tokens(tmp_path / "cut", BERT)
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"\x08")
    with pytest.raises(DataError, match="cannot load word vectors from"):
        published_word_vectors(str(tmp_path / "cut"), ours(tmp_path))


def test_saved_vectors_load_without_the_model(bert):
    _, folder = bert
    words = published_word_vectors(str(folder), load_vocabulary(folder))
    loaded = WordVectors(11, 8)
    loaded.load_state_dict(words.state_dict())
    same(loaded.normalised(torch.arange(9)), words.normalised(torch.arange(9)))


def test_a_missing_folder_is_named(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(DataError, match=r"^/no/such/folder: no such folder"):
        published_word_vectors("/no/such/folder", ours(tmp_path))


def test_an_unavailable_model_name_suggests_a_local_folder(monkeypatch, tmp_path):
    pytest.importorskip("transformers")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataError, match=r"cannot load word vectors from 'no-one/nothing': .*local folder"
    ):
        published_word_vectors("no-one/nothing", ours(tmp_path))


def test_learned_vectors_are_random_and_trained():
    words = make_word_vectors(WordVectorsConfig(width=64, spread=0.1), size=500)
    assert words.table.requires_grad
    assert words.table.std().item() == pytest.approx(0.1, rel=0.05)
    normed = words.normalised(torch.arange(500))
    torch.testing.assert_close(normed.mean(1), torch.zeros(500), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.std(1, correction=0), torch.ones(500))


def test_cooccurring_words_start_with_similar_vectors():
    cooccurring = [[4, 5, 5], [4, 5, 6], [4, 5], [7, 8], [7, 8, 9], [8, 7]]
    config = WordVectorsConfig(width=6, spread=0.1, start="cooccurrence")
    table = make_word_vectors(config, 12, cooccurring).table.detach()
    cosines = torch.nn.functional.cosine_similarity(table[:, None], table[None], dim=2)
    assert cosines[4, 5] > 0.9 < cosines[7, 8]
    assert cosines[[4, 5], [7, 8]].abs().max() < 0.1
    torch.testing.assert_close(table[4:10].norm(dim=1), torch.full((6,), 0.1 * 6**0.5))
    torch.manual_seed(0)
    random = make_word_vectors(WordVectorsConfig(width=6, spread=0.1), 12).table.detach()
    torch.manual_seed(0)
    again = make_word_vectors(config, 12, cooccurring).table.detach()
    assert torch.equal(again[[0, 1, 2, 3, 10, 11]], random[[0, 1, 2, 3, 10, 11]])


def test_without_cooccurrences_vectors_stay_random():
    config = WordVectorsConfig(width=6, start="cooccurrence")
    assert make_word_vectors(config, 5).table.norm(dim=1).min() > 0
