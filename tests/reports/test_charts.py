"""Charts: coordinates by hand, well-formed, and safe whatever stands in labels."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from shopsight.metrics.evaluate import Estimate
from shopsight.reports.charts import boxes_chart, curve_chart, interval_chart


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


def test_a_curve_marks_its_chosen_point_and_stays_inside() -> None:
    weights = [i / 10 for i in range(11)]
    means = [0.5 + 0.01 * i * (8 - i) for i in range(11)]
    svg = curve_chart(weights, means, 4, "weight", "ndcg@5")
    (line,), (dot,) = parts(svg, "polyline", "curve"), parts(svg, "circle", "dot")
    points = [tuple(map(float, point.split(","))) for point in line["points"].split()]
    assert len(points) == 11
    assert points[4] == (float(dot["cx"]), float(dot["cy"]))
    assert min(points, key=lambda point: point[1]) == points[4]  # the highest on the page
    _, _, width, height = map(float, ElementTree.fromstring(svg).attrib["viewBox"].split())
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert f"{means[4]:.4f} at 0.40" in svg


@pytest.mark.parametrize("means", [[0.5, 0.5, 0.5], [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]])
def test_flat_and_full_curves_can_be_drawn(means: list[float]) -> None:
    svg = curve_chart([0, 0.5, 1], means, 0, "weight", "ndcg@5")
    ys = [float(node["cy"]) for node in parts(svg, "circle", "dot")]
    assert len(ys) == 1
    assert "nan" not in svg


def test_boxes_are_shares_of_the_photo() -> None:
    svg = boxes_chart([(0.5, 0, 1, 0.25)], ["hand"], aspect=2, size=100)
    (photo,), (region,) = parts(svg, "rect", "photo"), parts(svg, "rect", "region")
    assert (photo["width"], photo["height"]) == ("100.0", "50.0")
    numbers = [float(region[key]) for key in ("x", "y", "width", "height")]
    assert numbers == [0, 25, 25, 25]


def test_foreign_text_is_escaped() -> None:
    hostile = '<script>"&'
    for svg in (
        boxes_chart([(0, 0, 1, 1)], [hostile], 1),
        curve_chart([0, 1], [0, 1], 0, hostile, hostile),
    ):
        assert "<script" not in svg
        ElementTree.fromstring(svg)
