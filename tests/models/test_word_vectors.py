import pytest
import torch

from shopsight.config import WordVectorsConfig
from shopsight.errors import DataError
from shopsight.models.word_vectors import WordVectors, make_word_vectors
from tinymodels import same


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=4,
        layer_norm_eps=1e-3,
    )
    model = transformers.BertModel(config).eval()
    torch.nn.init.normal_(model.embeddings.LayerNorm.weight)
    folder = tmp_path_factory.mktemp("bert")
    model.save_pretrained(folder)
    return model, folder


def test_a_published_models_embeddings_and_norm_are_frozen(bert):
    model, folder = bert
    words = make_word_vectors(WordVectorsConfig(source=str(folder)), size=9)
    ids = torch.tensor([[3, 8, 0]])
    same(words.raw(ids), model.embeddings.word_embeddings(ids).detach())
    normed = model.embeddings.LayerNorm(model.embeddings.word_embeddings(ids))
    torch.testing.assert_close(words.normalised(ids), normed.detach(), rtol=1e-5, atol=1e-5)
    assert (words.width, words.table.shape) == (8, (9, 8))
    assert not any(p.requires_grad for p in words.parameters())


def test_saved_vectors_load_without_the_model(bert):
    _, folder = bert
    words = make_word_vectors(WordVectorsConfig(source=str(folder)), size=9)
    loaded = WordVectors(9, 8)
    loaded.load_state_dict(words.state_dict())
    same(loaded.normalised(torch.arange(9)), words.normalised(torch.arange(9)))


def test_a_model_with_too_few_vectors_is_an_error(bert):
    with pytest.raises(DataError, match=r"has 11 word vectors, but the prepared vocabulary has 12"):
        make_word_vectors(WordVectorsConfig(source=str(bert[1])), size=12)


def test_a_missing_folder_is_named():
    pytest.importorskip("transformers")
    with pytest.raises(DataError, match=r"^/no/such/folder: no such folder"):
        make_word_vectors(WordVectorsConfig(source="/no/such/folder"), size=4)


def test_an_unavailable_model_name_suggests_a_local_folder(monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataError, match=r"cannot load word vectors from 'no-one/nothing': .*local folder"
    ):
        make_word_vectors(WordVectorsConfig(source="no-one/nothing"), size=4)


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
