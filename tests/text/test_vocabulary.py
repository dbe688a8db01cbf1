import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordPiece

from shopsight.errors import DataError
from shopsight.text.stopwords import stop_words
from shopsight.text.vocabulary import Vocabulary, load_vocabulary, train_vocabulary

QUERIES = [
    "leopard print women's shoes",
    "women's shoes",
    "leopard t-shirt",
    "leopard print dress of the women",
    "print dress",
    "android phone",
    "android phone and shoes",
]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "and", "##roid", "shoes", "the", "-", "'", "s"]


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(QUERIES, 200)


def bert_folder(folder: Path, tokens=BERT, **settings) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def spelled(vocabulary, text):
    return [vocabulary.tokens[i] for i in vocabulary.encode([text])[0]]


def test_frequent_words_become_tokens(vocabulary):
    assert spelled(vocabulary, "Leopard PRINT shoes") == ["leopard", "print", "shoes"]


def test_stop_tokens_go(tmp_path):
    bert = load_vocabulary(bert_folder(tmp_path, [*BERT, "women", "t"]))
    assert spelled(bert, "the red-and-red women's t-shoes") == ["red", "red", "women", "t", "shoes"]


def test_a_stop_word_inside_a_longer_word_stays(tmp_path):
    bert = load_vocabulary(bert_folder(tmp_path))
    assert spelled(bert, "red and android the shoes") == ["red", "and", "##roid", "shoes"]


def test_a_query_of_stop_words_keeps_them(tmp_path):
    bert = load_vocabulary(bert_folder(tmp_path))
    assert spelled(bert, "and the") == ["and", "the"]


@pytest.mark.parametrize("text", ["", " \t", "\u200b", "\ud800", "☃"])
def test_a_query_without_any_token_is_the_unknown_token(vocabulary, text):
    assert vocabulary.encode([text]) == [[vocabulary.unk]]


@given(st.lists(st.text(st.characters(codec=None, exclude_categories=()))))
def test_each_text_has_tokens_of_its_own(vocabulary, texts):
    encoded = vocabulary.encode(texts)
    assert len(encoded) == len(texts)
    assert all(encoded)
    assert encoded == [vocabulary.encode([text])[0] for text in texts]
    content = {i for ids in encoded for i in ids}
    assert not content & {vocabulary.pad, vocabulary.start, vocabulary.end}


def test_what_looks_like_a_special_token_is_text(vocabulary):
    ids = vocabulary.encode(["[PAD] [CLS] dress [SEP]"])[0]
    assert not {vocabulary.pad, vocabulary.start, vocabulary.end} & set(ids)


def test_tokens_and_special_ids(vocabulary):
    assert vocabulary.size == len(vocabulary.tokens) == len(set(vocabulary.tokens))
    special = [vocabulary.pad, vocabulary.unk, vocabulary.start, vocabulary.end]
    assert [vocabulary.tokens[i] for i in special] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def test_decode_joins_pieces_and_skips_special_tokens(tmp_path):
    bert = load_vocabulary(bert_folder(tmp_path))
    ids = [bert.start, *bert.encode(["red android ?"])[0], bert.end, bert.pad]
    assert bert.decode(ids) == "red android [UNK]"


def test_size_bounds_the_pieces_and_never_the_characters():
    large, small = train_vocabulary(QUERIES, 100), train_vocabulary(QUERIES, 0)
    assert large.size == 100
    assert {len(token.removeprefix("##")) for token in small.tokens if token[0] != "["} == {1}
    assert small.unk not in small.encode(["leopard"])[0]


def test_training_does_not_depend_on_the_process():
    code = (
        "from shopsight.text.vocabulary import train_vocabulary as t;"
        f"print(t({QUERIES!r}, 150).tokens)"
    )
    runs = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(3)}
    assert runs == {f"{train_vocabulary(QUERIES, 150).tokens}\n".encode()}


def test_training_on_nothing_is_rejected():
    with pytest.raises(DataError, match="no query contains a word"):
        train_vocabulary(["", "\t"], 100)


def test_saved_and_loaded_it_is_the_same(vocabulary, tmp_path):
    vocabulary.save(tmp_path / "new")
    for loaded in (Vocabulary.load(tmp_path / "new"), load_vocabulary(tmp_path / "new")):
        assert loaded.tokens == vocabulary.tokens
        assert loaded.encode(QUERIES) == vocabulary.encode(QUERIES)
        assert (loaded.source, loaded.stop) == (vocabulary.source, vocabulary.stop)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "tokenizer.json",
        "vocabulary.json",
    ]


def test_stop_words_are_those_it_was_saved_with(tmp_path):
    tokenizer = Tokenizer.from_file(str(saved(tmp_path / "a") / "tokenizer.json"))
    Vocabulary(tokenizer, "mine", frozenset({"dress"})).save(tmp_path / "b")
    loaded = load_vocabulary(tmp_path / "b")
    assert loaded.stop == {"dress"} != stop_words()
    assert spelled(loaded, "print dress") == ["print"]


def test_tokenizer_json_alone_gives_the_same_ids(vocabulary, tmp_path):
    folder = saved(tmp_path)
    (folder / "vocabulary.json").unlink()
    assert load_vocabulary(str(folder)).encode(QUERIES) == vocabulary.encode(QUERIES)


def test_padding_truncation_and_added_tokens_of_a_published_tokenizer_are_left_out(tmp_path):
    folder = saved(tmp_path)
    (folder / "vocabulary.json").unlink()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    tokenizer.add_special_tokens(["dress"])
    tokenizer.save(str(folder / "tokenizer.json"))
    loaded = load_vocabulary(folder)
    assert spelled(loaded, "leopard print women shoes") == ["leopard", "print", "women", "shoes"]
    assert spelled(loaded, "dresses")[0] == "dress"


def test_bert_vocabulary_file(tmp_path):
    bert = load_vocabulary(bert_folder(tmp_path))
    assert bert.tokens == BERT
    assert spelled(bert, "Réd women's shoes - s") == ["red", "[UNK]", "shoes"]


def test_bert_settings_are_followed(tmp_path):
    tokens = [*BERT, "réd"]
    plain = load_vocabulary(bert_folder(tmp_path / "a", tokens))
    accents = load_vocabulary(bert_folder(tmp_path / "b", tokens, do_lower_case=False))
    assert spelled(plain, "Réd") == ["red"]
    assert spelled(accents, "Réd") == ["réd"]


def test_holes_in_a_published_list_are_kept(tmp_path):
    bert = load_vocabulary(bert_folder(tmp_path, ["[PAD]", "shoes", *BERT]))
    assert bert.size == len(BERT) + 2
    assert bert.encode(["shoes"]) == [[2 + BERT.index("shoes")]]


def test_a_folder_without_tokenizer_is_rejected(tmp_path):
    with pytest.raises(DataError, match=r"no tokenizer here, neither tokenizer.json nor vocab.txt"):
        load_vocabulary(tmp_path)


def test_a_missing_folder_is_not_asked_of_the_hub():
    with pytest.raises(DataError, match=r"^./nowhere: no such folder"):
        load_vocabulary("./nowhere")


@pytest.mark.parametrize("missing", ["[PAD]", "[CLS]", "[SEP]"])
def test_a_missing_special_token_is_named(tmp_path, missing):
    tokens = [token for token in BERT if token != missing]
    with pytest.raises(DataError, match=rf"no token for \w+, such as \{missing}"):
        load_vocabulary(bert_folder(tmp_path, tokens))


def test_another_kind_of_tokenizer_is_rejected(tmp_path):
    Tokenizer(BPE({"a": 0}, [])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match="a BPE tokenizer; only WordPiece is supported"):
        load_vocabulary(tmp_path)


def test_another_continuation_prefix_is_rejected(tmp_path):
    vocabulary = {token: i for i, token in enumerate(BERT)}
    model = WordPiece(vocabulary, unk_token="[UNK]", continuing_subword_prefix="@@")
    Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DataError, match="@@"):
        load_vocabulary(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer.json", "{"),
        ("tokenizer.json", '{"model": 1}'),
        ("vocabulary.json", "{"),
        ("vocabulary.json", '{"format": "shopsight vocabulary", "version": 1}'),
    ],
)
def test_damaged_files_are_named(tmp_path, name, text):
    folder = saved(tmp_path)
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=name):
        load_vocabulary(folder)


def test_damaged_bert_files_are_named(tmp_path):
    folder = bert_folder(tmp_path)
    (folder / "tokenizer_config.json").write_text("[]")
    with pytest.raises(DataError, match=r"tokenizer_config.json: not a JSON object"):
        load_vocabulary(folder)
    (folder / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"vocab.txt: not a list of tokens"):
        load_vocabulary(folder)


def test_by_name_it_comes_from_the_hub(monkeypatch, tmp_path):
    bert_folder(tmp_path / "hub", do_lower_case=True)
    requested = publish(monkeypatch, tmp_path / "hub")
    bert = load_vocabulary("someone/bert-tiny")
    assert requested == [["tokenizer.json", "vocab.txt", "tokenizer_config.json"]]
    assert (bert.tokens, bert.source) == (BERT, "someone/bert-tiny")


def test_saved_it_needs_the_hub_no_more(monkeypatch, tmp_path):
    publish(monkeypatch, bert_folder(tmp_path / "hub"))
    bert = load_vocabulary("someone/bert-tiny")
    bert.save(tmp_path / "mine")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    assert load_vocabulary(tmp_path / "mine").encode(QUERIES) == bert.encode(QUERIES)


def test_a_hub_model_without_tokenizer_is_rejected(monkeypatch, tmp_path):
    publish(monkeypatch, tmp_path)
    with pytest.raises(DataError, match="'someone/else' on the Hugging Face hub has neither"):
        load_vocabulary("someone/else")


def test_an_unreachable_hub_is_named(monkeypatch):
    def download(name, allow_patterns):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(DataError, match="hub cannot be reached, and 'bert-tiny' is not in its"):
        load_vocabulary("bert-tiny")


def test_a_name_that_cannot_be_one_is_rejected():
    with pytest.raises(DataError, match="no tokenizer 'not/a/name' on the Hugging Face hub"):
        load_vocabulary("not/a/name")


def test_the_real_queries_all_have_tokens(shared_data):
    texts = (shared_data / "kddcup2020" / "queries.txt").read_text(encoding="utf-8").splitlines()
    vocabulary = train_vocabulary(texts, 4_000)
    encoded = vocabulary.encode(texts)
    assert (len(encoded), vocabulary.size) == (22_271, 4_000)
    assert all(encoded)
    assert not any(vocabulary.unk in ids for ids in encoded)


def saved(folder: Path) -> Path:
    train_vocabulary(QUERIES, 200).save(folder)
    return folder


def publish(monkeypatch, folder: Path) -> list[list[str]]:
    """Let the hub be a local folder; returns the lists of files that are asked of it."""
    requested = []

    def download(name, allow_patterns):
        requested.append(allow_patterns)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return requested


def merged(tmp_path, tokens) -> Vocabulary:
    return load_vocabulary(bert_folder(tmp_path / "bert", BERT[:4] + tokens)).with_plurals_merged()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("red shoes", ["red", "shoe"]),
        ("dresses dress", ["dress", "dress"]),
        ("watches", ["watch"]),
        ("glass glasses", ["glass", "glasse"]),
        ("ladies gas jeans", ["ladies", "gas", "jeans"]),
        ("redss", ["red"]),
    ],
)
def test_plurals_are_read_as_their_singular_where_both_are_tokens(tmp_path, text, read):
    words = "red shoe shoes dress dresses watch watches glass glasse glasses ladies lady ga gas"
    vocabulary = merged(tmp_path, [*words.split(), "jeans", "##s"])
    (ids,) = vocabulary.encode([text])
    assert [vocabulary.tokens[i] for i in ids] == read


def test_plurals_stay_without_being_asked(tmp_path):
    vocabulary = load_vocabulary(bert_folder(tmp_path / "bert", [*BERT, "shoe"]))
    (ids,) = vocabulary.encode(["shoes"])
    assert vocabulary.tokens[ids[0]] == "shoes"


def test_merged_plurals_are_saved(tmp_path):
    vocabulary = merged(tmp_path, ["shoe", "shoes"])
    vocabulary.save(tmp_path / "saved")
    again = Vocabulary.load(tmp_path / "saved")
    assert again.merge_plurals
    assert again.encode(["shoes", "shoe"]) == vocabulary.encode(["shoe", "shoe"])
