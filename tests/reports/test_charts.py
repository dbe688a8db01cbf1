"""Charts: hand-computed coordinates, well-formed SVG, escaped labels."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from shopsight.metrics.evaluate import Estimate
from shopsight.reports.charts import (
    Series,
    boxes_chart,
    histogram_chart,
    interval_chart,
    lines_chart,
    photo_symbol,
)


def parts(svg: str, tag: str, name: str) -> list[dict[str, str]]:
    """Attributes of the elements of one tag and class."""
    return [
        dict(node.attrib)
        for node in ElementTree.fromstring(svg).iter(tag)
        if node.get("class") == name
    ]


def test_an_interval_is_drawn_to_scale() -> None:
    svg = interval_chart(Estimate(mean=0.5, low=0.25, high=1.0, queries=9))
    (dot,), (whisker,) = parts(svg, "circle", "dot"), parts(svg, "line", "whisker")
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])  # type: ignore[index]
    assert float(dot["cx"]) == pytest.approx(width / 2)
    assert float(whisker["x1"]) == pytest.approx(width / 4)
    assert float(whisker["x2"]) == pytest.approx(width)
    assert 'aria-label="0.500, between 0.250 and 1.000"' in svg


def test_boxes_are_fractions_of_the_photo() -> None:
    svg = boxes_chart([(0.5, 0, 1, 0.25)], ["hand"], aspect=2, size=100)
    (photo,), (region,) = parts(svg, "rect", "photo"), parts(svg, "rect", "region")
    assert (photo["width"], photo["height"]) == ("100.0", "50.0")
    numbers = [float(region[key]) for key in ("x", "y", "width", "height")]
    assert numbers == [0, 25, 25, 25]


def test_foreign_text_is_escaped() -> None:
    hostile = '<script>"&'
    for svg in (
        lines_chart([Series(hostile, [0, 1], [0, 1])], hostile, hostile),
        boxes_chart([(0, 0, 1, 1)], [hostile], 1),
    ):
        assert "<script" not in svg
        ElementTree.fromstring(svg)


def test_lines_share_their_axes() -> None:
    svg = lines_chart(
        [Series("first", [0, 1, 2], [4.0, 2.0, 1.0]), Series("second", [2], [4.0])],
        "epoch",
        "loss",
    )
    lines = [
        [tuple(map(float, point.split(","))) for point in node["points"].split()]
        for name in ("curve line1", "curve line2")
        for node in parts(svg, "polyline", name)
    ]
    (first, second) = lines
    assert first[1][0] == pytest.approx((first[0][0] + first[2][0]) / 2, abs=0.1)
    assert second[0] == (first[2][0], first[0][1])
    assert first[0][1] < first[1][1] < first[2][1]  # down the page as the loss falls
    assert "loss over epoch; at the end first 1, second 4" in svg


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [1e-4, 3e4], [float("nan"), 1.0], []])
def test_degenerate_lines_can_be_drawn(values: list[float]) -> None:
    svg = lines_chart([Series("loss", range(len(values)), values)], "epoch", "loss")
    (line,) = parts(svg, "polyline", "curve line1")
    assert len(line["points"].split()) == sum(value == value for value in values)


def test_opacity_follows_the_weights() -> None:
    svg = boxes_chart([(0, 0, 1, 1), (0, 0, 1, 1)], ["hand", "face"], 1, weights=[0.25, 0.75])
    regions = parts(svg, "rect", "region weighed")
    opacities = [float(node["style"].split(":")[1]) for node in regions]
    assert 0 < opacities[0] < opacities[1] < 1
    assert "hand, weight 0.25" in svg
    assert "weight" not in boxes_chart([(0, 0, 1, 1)], ["hand"], 1)


def test_regions_lie_on_their_photo() -> None:
    svg = boxes_chart(
        [(0, 0, 1, 1), (0, 0, 0.5, 1)],
        ["a", "b"],
        2,
        size=100,
        weights=[0.2, 0.8],
        photo="photo3",
    )
    (use,) = ElementTree.fromstring(svg).iter("use")
    assert (use.get("width"), use.get("height")) == ("100.0", "50.0")
    assert use.get("href") == "#photo3"
    assert 'href="data:image/jpeg;base64,/9g="' in photo_symbol("photo3", b"\xff\xd8")
    regions = parts(svg, "rect", "region weighed seen")
    assert [node["style"] for node in regions] == ["stroke-opacity:0.0", "stroke-opacity:1.0"]
    assert not parts(svg, "rect", "photo")
    plain = boxes_chart([(0, 0, 1, 1)], ["a"], 2, photo="x")
    assert len(parts(plain, "rect", "region seen")) == 1
    even = boxes_chart([(0, 0, 1, 1)], ["a"], 2, weights=[0.0], photo="x")
    assert "stroke-opacity:0.25" in even


def test_a_histogram_counts_by_tenths() -> None:
    values = np.array([0.0, 0.05, 0.31, 0.95, 1.0, 1.0])
    svg = histogram_chart(values, np.array([0.0, 1.0]), "ndcg@5")
    bars = [float(bar["height"]) for bar in parts(svg, "rect", "bar")]
    assert len(bars) == 10
    assert bars[9] == pytest.approx(1.5 * bars[0], abs=0.3)
    assert bars[9] == pytest.approx(3 * bars[3], abs=0.3)
    assert bars[1] == 0
    assert len(parts(svg, "polyline", "curve line2")) == 1
    assert "ndcg@5 of 6 queries; in tenths 2, 0, 0, 1, 0, 0, 0, 0, 0, 3" in svg
    assert not parts(histogram_chart(values, None, "ndcg@5"), "polyline", "curve line2")
