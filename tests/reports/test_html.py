"""The HTML report: complete, self-contained, and safe against markup in the data."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from shopsight.config import FusionConfig
from shopsight.inference.ensemble import Ensemble
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.metrics.significance import compare
from shopsight.ranking.audit import audit
from shopsight.reports.charts import Series
from shopsight.reports.dataset import Figure
from shopsight.reports.html import Report, render, write_page
from shopsight.reports.learning_curves import LearningCurves
from shopsight.reports.query_examples import Candidate, QueryExample
from shopsight.tables import Grid
from shopsight.types import Qrels, Run

HOSTILE = '<script>alert("x")</script>'
VOID = {"meta", "br"}


class Outline(HTMLParser):
    """Text, tags and attributes of a page; fails on unbalanced tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = "", [], []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def report() -> Report:
    queries = [f"q{i}" for i in range(12)]
    good = Run.from_dict({q: {"a": 2.0, "b": 1.0, "c": 0.0} for q in queries}, "good")
    bad = Run.from_dict({q: {"a": 0.0, "b": 1.0, "c": 2.0} for q in queries}, "bad")
    qrels = Qrels({q: {"a": 1} for q in queries})
    product = Candidate("p1", 1, True, f"red dress {HOSTILE}", ((0, 0, 1, 1),), (HOSTILE,), 0.5)
    example = QueryExample("q1", f"{HOSTILE} dress", 0.5, 2, (product,), (9,))
    return Report(
        title="A title",
        summary="A summary.",
        figures=[Figure("3,227", "products")],
        splits=Grid(("split", "rows"), (("train", "4,000"),)),
        audit=audit(good.pools, qrels, bootstrap_interval),
        comparison=compare([good, bad], qrels),
        models={"good": "description of good", "bad": "description of bad"},
        learning=[
            LearningCurves(
                "dual",
                "two epochs of it",
                (Series("loss", (1, 2), (3.0, 2.0)), Series(HOSTILE, (1, 2), (1.0, 0.5))),
                "ndcg@5",
                (Series("ndcg@5", (1, 2), (0.25, 0.75)),),
            )
        ],
        ensemble=Ensemble(
            "ensemble",
            {"good": 0.7, "bad": 0.3},
            FusionConfig(),
            in_sample=1.0,
            held_out=0.987,
            dropped=("ugly",),
        ),
        judged="good",
        best=[example],
        worst=[dataclasses.replace(example, text="worst of all", missed=())],
        stages=[("world", 95.0), ("report", 0.5)],
        commands=["shopsight demo --out demo"],
    )


def test_everything_is_on_the_page(report: Report) -> None:
    text = re.sub(r"\s+", " ", Outline(render(report)).text)
    for words in (
        "A title",
        "A summary.",
        "3,227 products".replace(" ", ""),
        "description of good",
        "1.0000",
        "0.5000",
        "0.70 good + 0.30 bad: 0.9870 on held-out queries",
        report.audit.verdict,
        "train",
        "worst of all",
        "others have rank 9.",
        "shopsight demo --out demo",
        "dual",
        "two epochs of it",
        "world1 min 35 s",
        "report0.5 s",
    ):
        assert words in text, words
    assert text.count("have rank") == 1


def test_letters_mark_the_better_model_only(report: Report) -> None:
    page = render(report)
    assert re.findall(r"<sup>(\w+)</sup>", page) == ["b", "b"]  # ndcg@5 and mrr, not recall@10
    (best,) = re.findall(r'<tr class="best">.*?</tr>', page, re.S)
    assert "good" in best


def test_the_page_needs_no_network(report: Report) -> None:
    page = render(report)
    outline = Outline(page)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(outline.tags)
    assert not {"src", "href", "srcset", "data", "action"} & set(outline.attributes)
    assert not re.search(r"https?://|@import|url\(", page)
    assert "default-src 'none'" in page


def test_markup_in_data_stays_text(report: Report) -> None:
    page = render(report)
    assert "<script" not in page
    # a query, two captions and two region titles in the examples, and a name in a legend
    assert Outline(page).text.count(HOSTILE) == 6


def test_a_page_without_fusion(report: Report) -> None:
    page = render(dataclasses.replace(report, ensemble=None))
    assert "Fusion" not in Outline(page).text
    assert "Fusion" in Outline(render(report)).text
    assert "left out: ugly." in re.sub(r"\s+", " ", Outline(render(report)).text)


def test_a_page_without_learning_curves(report: Report) -> None:
    page = render(dataclasses.replace(report, learning=[]))
    assert "Learning curves" not in Outline(page).text
    assert "Learning curves" in Outline(render(report)).text
    no_validation = dataclasses.replace(report.learning[0], validation=())
    charts = [
        render(dataclasses.replace(report, learning=[curves])).count("training loss over")
        for curves in (report.learning[0], no_validation)
    ]
    assert charts == [1, 1]


def test_words_are_shaded_by_their_weights(report: Report) -> None:
    example = dataclasses.replace(report.best[0], words=(("red", 0.25), ("dress", 0.75)))
    weighed = render(dataclasses.replace(report, best=[example]))
    shaded = re.findall(r'style="--weight: (\d+)%">(\w+)', weighed)
    assert shaded == [("25", "red"), ("75", "dress")]
    assert "its weight for the first product" in Outline(weighed).text
    assert "its weight for the first product" not in Outline(render(report)).text


def test_a_leak_is_marked(report: Report) -> None:
    mapping = {f"q{i}": {"x": 0.0, "y": 1.0, f"own{i}": 0.0} for i in range(12)}
    leaking = audit(
        Run.from_dict(mapping).pools,
        Qrels({f"q{i}": {f"own{i}": 1} for i in range(12)}),
        bootstrap_interval,
    )
    assert 'class="card verdict"' in render(report)
    page = render(dataclasses.replace(report, audit=leaking))
    assert 'class="card verdict leaks"' in page


def test_the_page_is_written_atomically(report: Report, tmp_path: Path) -> None:
    write_page(report, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == render(report)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_photos_are_embedded(report: Report) -> None:
    plain = render(report)
    product = dataclasses.replace(report.best[0].candidates[0], photo=b"jpeg", weights=(1.0,))
    example = dataclasses.replace(report.best[0], candidates=(product,), words=(("red", 1.0),))
    page = render(dataclasses.replace(report, best=[example]))
    assert re.findall(r'href="([^"]+)"', page) == ["data:image/jpeg;base64,anBlZw=="]
    assert "img-src data:" in page
    assert '<main class="photos">' in page
    assert "The opacity of an outline" in Outline(page).text
    assert "Outlines are" not in Outline(plain).text
    assert page.index("Per-query examples: best") < page.index(">Learning curves<")
