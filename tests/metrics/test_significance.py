"""Randomisation tests, Holm's correction, letters."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsight.config import CompareConfig, EvaluateConfig
from shopsight.errors import UsageError
from shopsight.metrics.significance import (
    benjamini_hochberg,
    compare,
    holm,
    letter,
    randomisation_test,
)
from shopsight.types import Qrels, Run


@given(st.lists(st.integers(-4, 4).map(lambda n: n / 10), min_size=1, max_size=7))
def test_exact_equals_naive_enumeration(differences: list[float]) -> None:
    observed = abs(sum(differences))
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    expected = np.mean([total >= observed - 1e-9 for total in sums])
    result = randomisation_test(np.array(differences), np.zeros(len(differences)))
    assert result == pytest.approx(expected)


def test_sampled_is_close_to_exact() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1.0, 16)
    exact = randomisation_test(differences, np.zeros(16), permutations=2**16)
    sampled = randomisation_test(differences, np.zeros(16), permutations=20_000, seed=1)
    assert sampled == pytest.approx(exact, abs=0.015)


def test_equal_runs_and_symmetry() -> None:
    values = np.random.default_rng(0).random((2, 50))
    assert randomisation_test(values[0], values[0]) == 1.0
    assert randomisation_test(*values) == randomisation_test(values[1], values[0])


def test_sampled_p_value_is_never_zero() -> None:
    assert randomisation_test(np.ones(100), np.zeros(100), permutations=99) == 0.01


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_benjamini_hochberg_by_hand() -> None:
    # 4 tests in order: .005 * 4/1, .01 * 4/2, .03 * 4/3, .04 * 4/4; then never above the next.
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert benjamini_hochberg([0.9, 0.8]) == pytest.approx([0.9, 0.9])
    assert benjamini_hochberg([]) == []


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12))
def test_benjamini_hochberg_lies_between_none_and_holm(p_values: list[float]) -> None:
    adjusted = benjamini_hochberg(p_values)
    assert (np.array(adjusted) >= np.array(p_values) - 1e-12).all()
    assert (np.array(adjusted) <= np.array(holm(p_values)) + 1e-12).all()


def test_letters_of_many_runs() -> None:
    assert [letter(i) for i in (0, 25, 26, 51, 52, 701, 702)] == [
        "a", "z", "aa", "az", "ba", "zz", "aaa",
    ]  # fmt: skip


def three_runs() -> tuple[list[Run], Qrels]:
    queries = [str(query) for query in range(30)]
    good, bad = {"r": 1.0, "x": 0.0}, {"r": 0.0, "x": 1.0}
    runs = [
        Run.from_dict(dict.fromkeys(queries, good), "good"),
        Run.from_dict(dict.fromkeys(queries, bad), "bad"),
        Run.from_dict({q: bad if q in "01" else good for q in queries}, "nearly"),
    ]
    return runs, Qrels({query: {"r": 1} for query in queries})


def test_compare() -> None:
    runs, qrels = three_runs()
    result = compare(runs, qrels, evaluation=EvaluateConfig(("mrr",)))
    assert [evaluation.name for evaluation in result.evaluations] == ["good", "bad", "nearly"]
    assert [result.letters("mrr", run) for run in range(3)] == ["b", "", "b"]
    assert result.p_values["mrr"][0, 2] == 0.5  # two queries differ: 2 of 4 sign patterns
    assert np.array_equal(result.adjusted["mrr"], result.adjusted["mrr"].T)
    assert np.all(result.adjusted["mrr"] >= result.p_values["mrr"])


def test_without_correction() -> None:
    runs, qrels = three_runs()
    result = compare(runs, qrels, CompareConfig(correction="none"), EvaluateConfig(("mrr",)))
    assert np.array_equal(result.adjusted["mrr"], result.p_values["mrr"])


def test_the_correction_is_chosen() -> None:
    runs, qrels = three_runs()
    metric = EvaluateConfig(("mrr",))
    config = CompareConfig(correction="benjamini-hochberg")
    result = compare(runs, qrels, config, metric)
    pairs = [result.p_values["mrr"][pair] for pair in ((0, 1), (0, 2), (1, 2))]
    adjusted = [result.adjusted["mrr"][pair] for pair in ((0, 1), (0, 2), (1, 2))]
    assert adjusted == benjamini_hochberg(pairs)
    assert "benjamini-hochberg correction" in result.grids()[0].note


def test_the_note_says_what_the_queries_can_show() -> None:
    runs, qrels = three_runs()
    result = compare(runs, qrels, CompareConfig(effect=0.05), EvaluateConfig(("mrr",)))
    effect, needed = result.detectable("mrr"), result.needed("mrr")
    assert f"With 30 queries, a difference in mrr above {effect:.3f} is found" in result.power_note
    assert f"A difference of 0.05 needs {needed:,} queries." in result.power_note
    assert result.to_dict()["detectable"] == {"mrr": effect}
    same = compare([runs[0], runs[0]], qrels, evaluation=EvaluateConfig(("mrr",)))
    assert same.power_note == "The runs do not differ."
    assert same.to_dict()["detectable"] == {"mrr": None}


def test_invalid_input() -> None:
    runs, qrels = three_runs()
    with pytest.raises(UsageError, match="at least two runs"):
        compare(runs[:1], qrels)
    with pytest.raises(UsageError, match="alpha and power must be between 0 and 1"):
        compare(runs, qrels, CompareConfig(alpha=1.0))
    with pytest.raises(UsageError, match="alpha and power must be between 0 and 1"):
        compare(runs, qrels, CompareConfig(power=1.0))
    with pytest.raises(UsageError, match="effect must be at least 0"):
        compare(runs, qrels, CompareConfig(effect=float("nan")))
