import json

import pytest

from shopsight.text.query_stats import EXAMPLES, ODDITIES, REPEATED, describe_queries

ONE_OF_EACH = {
    "empty": " \t",
    "control or format characters": "red\u200bdress",
    "non-ASCII characters": "appliqués tape",
    "non-Latin script": "瑞格布恩 boots",
    "upper case": "Chanel bag",
    "repeated white space": "red  dress",
    "starts with punctuation": ", books",
    "ends with punctuation": "glasses frame ms.",
    "isolated punctuation": "lotion & cream",
    "unpaired bracket or quote": "bright side) vest",
    "no word": ")",
    "function words only": "of the",
    "ends with a function word": "fresh notes this",
    "ends with a number": "shoes 42",
    "one word": "fender",
    "one-letter word": "vitamin c cream",
    "number": "7 up glass",
    "repeated word": "dress red dress",
    "more than 12 words": "a b c d e f g h i j k l m",
}


@pytest.mark.parametrize("kind", ODDITIES)
def test_each_kind_is_seen_in_its_example_and_not_in_a_plain_query(kind):
    odd = describe_queries([ONE_OF_EACH[kind], "casual summer dress"])["odd"]
    assert odd[kind] == {"count": 1, "examples": [ONE_OF_EACH[kind]]}


def test_queries_that_normalise_alike_are_counted_once_each():
    described = describe_queries(["Red dress", "red  dress", "red dress", "lamp"])
    assert described["odd"][REPEATED] == {"count": 2, "examples": ["red  dress", "red dress"]}
    assert (described["queries"], described["distinct"]) == (4, 2)
    assert (described["words_mean"], described["words_max"]) == (1.75, 2)


def test_examples_are_the_first_few_and_all_is_json():
    described = describe_queries(f"lamp {i}" for i in range(10))
    assert described["odd"]["number"] == {
        "count": 10,
        "examples": [f"lamp {i}" for i in range(EXAMPLES)],
    }
    assert json.loads(json.dumps(described)) == described


def test_no_queries():
    described = describe_queries([])
    assert described["queries"] == described["distinct"] == described["words_max"] == 0
    assert not any(odd["count"] for odd in described["odd"].values())


def test_the_real_queries(shared_data):
    path = shared_data / "kddcup2020" / "queries.txt"
    texts = path.read_bytes().decode().removesuffix("\n").split("\n")
    described = describe_queries(texts)
    assert described["queries"] == described["distinct"] == 22_271
    counts = {kind: odd["count"] for kind, odd in described["odd"].items()}
    assert counts["starts with punctuation"] == 165
    assert counts["no word"] == 1
    assert counts["empty"] == 0


def test_the_real_rows(shared_data):
    rows = (shared_data / "kddcup2020" / "train_metadata.jsonl").read_text().splitlines()
    described = describe_queries(json.loads(row)["query"] for row in rows)
    assert (described["queries"], described["distinct"]) == (1_000, 907)
    assert described["odd"][REPEATED]["count"] == 93
