import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopsight.config import NegativesConfig
from shopsight.errors import DataError, OutputError, UsageError
from shopsight.negatives.clusters import cluster_queries
from shopsight.negatives.groups import (
    ARRAYS,
    build_query_groups,
    load_query_groups,
    save_query_groups,
)
from shopsight.negatives.overlap import WEIGHT_STEPS, overlap_neighbours, word_weights
from shopsight.negatives.words import index_words
from shopsight.text.normalise import last_word, normalise, words

WHOLE = 10_000
SMALL = NegativesConfig(clusters=4, dimensions=3, neighbours=5)
QUERIES = st.lists(
    st.lists(st.sampled_from("abcdefghijklmn"), min_size=0, max_size=12).map(" ".join),
    min_size=1,
    max_size=30,
    unique=True,
)


def naive_neighbours(texts, count):
    """Every query with every other one, word by word."""
    sets = [set(words(text)) for text in texts]
    df = {word: sum(word in one for one in sets) for one in sets for word in one}
    weight = {word: round(np.log(1 + len(texts) / n) * WEIGHT_STEPS) for word, n in df.items()}
    rows = []
    for i, own in enumerate(sets):
        scores = [(-sum(weight[w] for w in own & other), j) for j, other in enumerate(sets)]
        best = sorted((s, j) for s, j in scores if s < 0 and j != i)[:count]
        rows.append([j for _, j in best] + [-1] * (count - len(best)))
    return rows


def overlap(texts, count=5, postings=WHOLE, seed=0, workers=1):
    rng = np.random.default_rng(seed)
    return overlap_neighbours(index_words(texts), count, postings, rng, workers)


def drawn_queries(count, seed=0):
    """Distinct queries of a few words each, some words much more frequent than others."""
    rng = np.random.default_rng(seed)
    found = {}
    while len(found) < count:
        picked = np.minimum(rng.zipf(1.4, rng.integers(2, 6)), 400)
        found[" ".join(f"w{word}" for word in picked)] = None
    return list(found)


def test_a_small_overlap_by_hand():
    texts = ["red dress", "blue dress", "red shoes", "lamp"]
    assert overlap(texts, 2).tolist() == [[1, 2], [0, -1], [0, -1], [-1, -1]]


def test_rare_words_count_more():
    texts = ["silk dress", "old dress", "new dress", "silk scarf"]
    assert overlap(texts, 3)[0].tolist() == [3, 1, 2]


@given(QUERIES, st.integers(1, 6))
def test_overlap_equals_every_query_with_every_other(texts, count):
    assert overlap(texts, count).tolist() == naive_neighbours(texts, count)


def test_overlap_equals_every_query_with_every_other_over_several_blocks():
    texts = drawn_queries(1_300)
    assert overlap(texts, 7, workers=2).tolist() == naive_neighbours(texts, 7)


def test_long_queries_are_compared_by_all_their_words():
    long = " ".join(f"w{i}" for i in range(40))
    texts = [long, f"{long} x", "w3 x", "w39 y"]
    assert overlap(texts, 3).tolist() == naive_neighbours(texts, 3)


def test_with_samples_neighbours_still_share_words_and_are_nearly_the_best():
    texts = drawn_queries(1_000)
    sets = [set(words(text)) for text in texts]
    found, exact = overlap(texts, 10, postings=16), np.array(naive_neighbours(texts, 10))
    weight = word_weights(index_words(texts)) / WEIGHT_STEPS
    name = {w: weight[i] for i, w in enumerate(dict.fromkeys(w for t in texts for w in words(t)))}

    def shared(neighbours):
        return sum(
            name[w]
            for i, row in enumerate(neighbours)
            for j in row
            if j >= 0
            for w in sets[i] & sets[j]
        )

    assert all(sets[i] & sets[j] for i, row in enumerate(found) for j in row if j >= 0)
    assert not (found == np.arange(len(texts))[:, None]).any()
    assert 0.9 * shared(exact) < shared(found) < shared(exact)


def test_samples_depend_on_the_seed_and_not_on_the_threads():
    texts = drawn_queries(1_100)
    one = overlap(texts, postings=4, seed=1)
    assert (one == overlap(texts, postings=4, seed=1, workers=3)).all()
    assert (one != overlap(texts, postings=4, seed=2)).any()


@pytest.mark.parametrize("texts", [[""], ["$", ")"], ["dress"], ["red", "blue"]])
def test_without_shared_words_there_are_no_neighbours(texts):
    assert (overlap(texts) == -1).all()


@given(QUERIES)
def test_last_words(texts):
    found = index_words(texts)
    names = [found.last_word_names[group] for group in found.last_words]
    assert names == [last_word(text) for text in texts]
    assert len(set(found.last_word_names)) == len(found.last_word_names) == len(set(names))


def test_groups_are_of_last_words():
    texts = ["red dress", "table of oak", "dress!", "Red dress", "women's dress"]
    groups = build_query_groups(texts, SMALL, 0)
    assert groups.last_word[groups.text].tolist() == [0, 1, 0, 0, 0]
    assert groups.manifest["largest_last_words"] == {"dress": 3, "oak": 1}
    assert (groups.manifest["last_words"], groups.manifest["last_words_of_one_text"]) == (2, 1)


@settings(max_examples=20)  # each one fits K-means
@given(QUERIES, st.integers(1, 6))
def test_every_query_is_in_one_cluster(texts, clusters):
    found = cluster_queries(index_words(texts), clusters, 3, 0)
    assert found.shape == (len(texts),)
    assert 0 <= found.min() <= found.max() < clusters


def test_clusters_separate_what_shares_no_word():
    texts = [f"red cotton dress {i}a" for i in range(20)] + [f"oak table {i}b" for i in range(20)]
    found = cluster_queries(index_words(texts), 2, 5, 0)
    assert len(set(found[:20])) == len(set(found[20:])) == 1
    assert found[0] != found[-1]


def test_the_same_text_in_two_spellings_is_one_text():
    groups = build_query_groups(["red dress", "Red\tDRESS ", "blue dress"], SMALL, 0)
    assert groups.text.tolist() == [0, 0, 1]
    assert groups.query.tolist() == [0, 2]
    assert groups.neighbours[:, 0].tolist() == [1, 0]
    assert (groups.manifest["queries"], groups.manifest["texts"]) == (3, 2)


def test_building_is_repeatable_by_seed():
    texts = drawn_queries(600)
    config = NegativesConfig(clusters=10, dimensions=8, neighbours=5, postings=4)
    one, same, other = (build_query_groups(texts, config, seed) for seed in (3, 3, 4))
    assert all((getattr(one, name) == getattr(same, name)).all() for name in ARRAYS)
    assert one.manifest == same.manifest
    assert (one.neighbours != other.neighbours).any()
    assert (one.cluster != other.cluster).any()


def test_no_queries_are_refused():
    with pytest.raises(DataError, match="there are none"):
        build_query_groups([], SMALL, 0)


def test_progress_reaches_the_end_of_every_stage():
    seen = {}
    texts = drawn_queries(50)
    build_query_groups(texts, SMALL, 0, progress=lambda *told: seen.update({told[0]: told[1:]}))
    assert seen == dict.fromkeys(["words", "clusters", "overlap"], (50, 50))


@pytest.fixture
def folder(tmp_path):
    save_query_groups(build_query_groups(["red dress", "Red dress", "lamp"], SMALL, 7), tmp_path)
    return tmp_path


def test_saved_and_loaded_they_are_the_same(folder):
    built = build_query_groups(["red dress", "Red dress", "lamp"], SMALL, 7)
    loaded = load_query_groups(folder, ["RED dress", "red dress", "lamp"])
    for name in ARRAYS:
        assert isinstance(getattr(loaded, name), np.memmap)
        assert (getattr(loaded, name) == getattr(built, name)).all()
    assert loaded.manifest == {**loaded.manifest, **built.manifest}
    assert loaded.manifest["settings"]["clusters"] == 4
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name}.npy" for name in ARRAYS), "negatives.json"]
    )


def test_saving_again_replaces(folder):
    save_query_groups(build_query_groups(["sofa"], SMALL, 0), folder)
    assert load_query_groups(folder).manifest["queries"] == 1


def test_a_save_that_was_cut_short_is_not_taken_for_whole(folder, monkeypatch):
    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_query_groups(build_query_groups(["sofa"], SMALL, 0), folder)
    with pytest.raises(DataError, match=r"no negatives.json"):
        load_query_groups(folder)


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_other_queries_are_noticed(folder):
    with pytest.raises(DataError, match="built from other queries"):
        load_query_groups(folder, ["red dress", "red dress", "sofa"])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 1}', '{"format": "shopsight query group folder", "version": 1}']
)
def test_a_damaged_description_is_named(folder, text):
    (folder / "negatives.json").write_text(text)
    with pytest.raises(DataError, match=r"negatives.json: (not|made by)|not a query group folder"):
        load_query_groups(folder)


def test_damaged_arrays_are_named(folder):
    np.save(folder / "cluster.npy", np.zeros(9, np.int32))
    with pytest.raises(DataError, match=r"cluster.npy: does not fit negatives.json"):
        load_query_groups(folder)
    (folder / "cluster.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"cluster.npy: missing or damaged"):
        load_query_groups(folder)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    groups = build_query_groups(["sofa"], SMALL, 0)
    with pytest.raises(OutputError, match="file/negatives: cannot write, not a directory"):
        save_query_groups(groups, tmp_path / "file" / "negatives")


def test_reading_groups_imports_neither_scipy_nor_sklearn():
    code = (
        "import sys, shopsight.negatives.groups as g;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'scipy', 'sklearn', 'torch'}))"
    )
    assert subprocess.check_output([sys.executable, "-c", code]) == b"[]\n"


def test_the_real_queries(shared_data):
    rows = (shared_data / "kddcup2020" / "train_metadata.jsonl").read_text().splitlines()
    texts = (shared_data / "kddcup2020" / "queries.txt").read_text(encoding="utf-8").splitlines()
    texts += [json.loads(row)["query"] for row in rows]
    groups = build_query_groups(texts, NegativesConfig(neighbours=10), 0)
    assert groups.manifest["queries"] == len(groups.text) == 23_271
    assert groups.manifest["texts"] == len({normalise(text) for text in texts})
    assert groups.manifest["clusters"] > 200
    assert groups.manifest["largest_last_words"]["suit"] > 800
    assert groups.manifest["without_neighbours"] < 300


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"clusters": -1}, "clusters must be at least 0, not -1"),
        ({"dimensions": 0}, "dimensions must be at least 1, not 0"),
        ({"neighbours": -1}, "neighbours must be at least 1, not -1"),
        ({"postings": 0}, "postings must be at least 1, not 0"),
        ({"tries": -1}, "tries must be at least 0, not -1"),
        ({"last_word_fraction": 1.5}, "last_word_fraction must be from 0 to 1, not 1.5"),
        ({"last_word_fraction": float("nan")}, "last_word_fraction must be from 0 to 1, not nan"),
    ],
)
def test_settings_that_make_no_sense(settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        NegativesConfig(**settings)


def test_no_more_neighbours_than_other_texts():
    for texts, shape in (["dress", "Dress", "red lamp", "lamp"], (3, 2)), (["sofa"], (1, 1)):
        groups = build_query_groups(texts, NegativesConfig(neighbours=10**9), 0)
        assert groups.neighbours.shape == shape
