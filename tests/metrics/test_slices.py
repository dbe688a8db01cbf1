"""Slices: means by label, rare labels together, paired differences, marks at a discovery rate."""

from __future__ import annotations

import numpy as np
import pytest

from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.metrics.significance import randomisation_test
from shopsight.metrics.slices import Slice, marked, paired_difference, slices

LABELS = ["short"] * 8 + ["long"] * 6 + ["odd"] * 2 + ["rare"] * 3


def test_slices_are_means_by_label() -> None:
    rng = np.random.default_rng(0)
    values, reference = rng.random(19), rng.random(19)
    rows = {row.name: row for row in slices(values, LABELS, reference)}
    assert list(rows) == ["long", "short", "other"]
    for name, inside in (("short", slice(0, 8)), ("long", slice(8, 14)), ("other", slice(14, 19))):
        row = rows[name]
        assert row.estimate.mean == pytest.approx(values[inside].mean())
        assert row.estimate.queries == len(values[inside])
        assert row.estimate.low <= row.estimate.mean <= row.estimate.high
        assert row.difference is not None
        assert row.difference.estimate.mean == pytest.approx((values - reference)[inside].mean())
        exact = randomisation_test(values[inside], reference[inside])
        assert row.difference.p_value == pytest.approx(exact, abs=0.05)
    assert sum(row.estimate.queries for row in rows.values()) == 19


def test_only_the_most_frequent_labels_are_slices() -> None:
    labels = [str(i) for i in range(7) for _ in range(5 + i)]
    rows = slices(np.zeros(len(labels)), labels, most=3)
    assert [(row.name, row.estimate.queries) for row in rows] == [
        ("4", 9), ("5", 10), ("6", 11), ("other", 5 + 6 + 7 + 8),
    ]  # fmt: skip
    assert all(row.difference is None for row in rows)


def test_a_label_named_other_is_part_of_the_others() -> None:
    rows = slices(np.ones(12), ["other"] * 6 + ["a"] * 5 + ["b"])
    assert [(row.name, row.estimate.queries) for row in rows] == [("a", 5), ("other", 7)]


def test_a_paired_difference_has_the_interval_of_the_differences() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(50)
    difference = paired_difference(values + 0.1, values)
    assert difference.estimate.mean == pytest.approx(0.1)
    assert (difference.estimate.low, difference.estimate.high) == pytest.approx((0.1, 0.1))
    assert difference.p_value < 0.001
    noisy = paired_difference(rng.random(50), values)
    assert noisy.estimate.low < noisy.estimate.mean < noisy.estimate.high
    gap = rng.random(50) - values
    again = paired_difference(values + gap, values).estimate
    assert (again.low, again.high) == pytest.approx(bootstrap_interval(gap))


def test_marks_control_the_false_discovery_rate() -> None:
    rng = np.random.default_rng(2)
    labels = [str(i // 20) for i in range(800)]
    noise = rng.normal(0, 0.1, 800)
    groups = {"noise": slices(noise, labels, np.zeros(800), most=40)}
    assert sum(row.significant for row in marked(groups, 0.05)["noise"]) <= 1
    shifted = noise + np.repeat([0.2, 0.0], [200, 600])
    groups["shifted"] = slices(shifted, labels, np.zeros(800), most=40)
    rows = marked(groups, 0.05)
    found = {row.name for row in rows["shifted"] if row.significant}
    assert found >= {str(i) for i in range(10)}
    assert len(found) <= 12
    assert [row.name for row in rows["noise"]] == [row.name for row in groups["noise"]]


def test_without_a_reference_nothing_is_marked() -> None:
    groups = {"length": slices(np.ones(10), ["a"] * 10)}
    assert isinstance(groups["length"][0], Slice)
    assert marked(groups, 0.05) == groups
