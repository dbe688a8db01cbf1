"""The HTML report: complete, self-contained, and safe against markup in the data."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
import subprocess
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from shopsight.config import CompareConfig, FusionConfig
from shopsight.inference.ensemble import Ensemble
from shopsight.metrics.evaluate import Estimate, bootstrap_interval
from shopsight.metrics.slices import PairedDifference, Slice
from shopsight.ranking.audit import audit
from shopsight.reports.charts import Series
from shopsight.reports.dataset import Figure
from shopsight.reports.html import Report, render, write_page
from shopsight.reports.learning_curves import LearningCurves
from shopsight.reports.model_table import ModelRow
from shopsight.reports.query_examples import Candidate, QueryExample
from shopsight.reports.query_table import MissedProduct, QueryRow
from shopsight.tables import Grid
from shopsight.types import Qrels, Run

HOSTILE = '<script>alert("x")</script>'
VOID = {"meta", "br", "input"}


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
        if self._open[-1:] not in (["style"], ["script"]):
            self.text += data


HALF = Estimate(0.5, 0.25, 0.75, 12)
BETTER = PairedDifference(Estimate(0.125, 0.0625, 0.25, 12), 0.002)


def model(name: str, **changes: object) -> ModelRow:
    row = ModelRow(name, f"description of {name}", "", HALF, None, {}, None, {"mrr": HALF})
    return dataclasses.replace(row, **changes)


@pytest.fixture
def report() -> Report:
    queries = [f"q{i}" for i in range(12)]
    good = Run.from_dict({q: {"a": 2.0, "b": 1.0, "c": 0.0} for q in queries}, "good")
    qrels = Qrels({q: {"a": 1} for q in queries})
    product = Candidate("p1", 1, True, f"red dress {HOSTILE}", ((0, 0, 1, 1),), (HOSTILE,), 0.5)
    example = QueryExample("q1", f"{HOSTILE} dress", 0.5, 2, (product,), (9,))
    missed = MissedProduct("p7", f"blue dress {HOSTILE}", b"")
    return Report(
        title="A title",
        headline="a headline.",
        figures=[Figure("3,227", "products")],
        metric="ndcg@5",
        models=[
            model("bad"),
            model(
                "good",
                letters="a",
                in_sample=Estimate(0.9375, 0.875, 1.0, 12),
                splits={"testA": Estimate(0.4375, 0.375, 0.625, 12)},
                difference=BETTER,
            ),
        ],
        tests=CompareConfig(),
        power_note="With 12 queries, not much.",
        ensemble=Ensemble(
            "ensemble",
            {"good": 0.7, "bad": 0.3},
            FusionConfig(),
            in_sample=1.0,
            held_out=0.987,
            dropped=("ugly",),
        ),
        reference="bad",
        slices={
            "query length": [
                Slice("1 word", HALF, BETTER, significant=True),
                Slice("2 words", HALF, PairedDifference(Estimate(-0.5, -1, 0, 3), 0.2)),
            ]
        },
        values=np.array([0.0, 0.05, 0.5, 1.0]),
        reference_values=np.array([0.0, 0.5, 0.5, 1.0]),
        best=[example],
        worst=[dataclasses.replace(example, text="worst of all", missed=())],
        runs=["bad", "good"],
        queries=[
            QueryRow("q1", f"{HOSTILE} dress", 2, (0.25, 0.125), (missed,), 3),
            QueryRow("q2", "green shoes", 1, (0.5, 1.0), (), 0),
            QueryRow("q3", "", 1, (0.0, 0.5), (missed,), 1),
        ],
        learning=[
            LearningCurves(
                "dual",
                "two epochs of it",
                (Series("loss", (1, 2), (3.0, 2.0)), Series(HOSTILE, (1, 2), (1.0, 0.5))),
                "ndcg@5",
                (Series("ndcg@5", (1, 2), (0.25, 0.75)),),
            )
        ],
        splits=Grid(("split", "rows"), (("train", "4,000"),)),
        audit=audit(good.pools, qrels, bootstrap_interval),
        provenance={
            "date": "2026-01-02 03:04 UTC",
            "version": "9.9",
            "libraries": "Python 9",
            "recipe": "photos",
            "changes": {"dual.width": "128 → 64"},
            "seed": 3,
            "data": "0123abcd",
            "machine": "a toaster",
            "command": f"shopsight train {HOSTILE}",
        },
        stages=[("world", 95.0, 320.4), ("report", 0.5, 0.0)],
        commands=["shopsight demo --out demo"],
    )


def text_of(page: str) -> str:
    """The text of a page without any white space."""
    return "".join(Outline(page).text.split())


def test_everything_is_on_the_page(report: Report) -> None:
    text = text_of(render(report))
    for words in (
        "A title",
        "A headline.",
        "3,227products",
        "description of good",
        "0.5000a0.250 to 0.750",  # held out
        "0.93750.875 to 1.000",  # in sample
        "0.43750.375 to 0.625",  # testA
        "+0.125*+0.062 to +0.250",  # minus the reference
        "With 12 queries, not much.",
        "0.70 good + 0.30 bad: 0.9870 on held-out queries",
        "left out: ugly.",
        "1 word 12 0.5000.250 to 0.750 +0.125*",
        "2 words 12 0.5000.250 to 0.750 -0.500-1.000",
        report.audit.verdict,
        "train",
        "worst of all",
        "others have rank 9.",
        "green shoes10.5001.000",
        "blue dress",
        "+2",  # missed products that are not shown
        "shopsight demo --out demo",
        "dual",
        "two epochs of it",
        "photos, seed 3",
        "dual.width128 → 64",
        "fingerprint 0123abcd",
        "a toaster",
        "world1 min 35 s320 MiB",
        "report0.5 s–",
    ):
        assert "".join(words.split()) in text, words
    assert text.count("haverank") == 1


def test_the_recommended_model_is_marked(report: Report) -> None:
    page = render(report)
    (best,) = re.findall(r'<tr class="best">.*?</tr>', page, re.S)
    assert "<b>good</b>" in best
    assert re.findall(r"<sup>(\w+)</sup>", page) == ["a"]


def test_columns_without_content_are_left_out(report: Report) -> None:
    text = text_of(render(report))
    assert "valid,heldoutinsampletestAminusbadmrr" in text
    plain = dataclasses.replace(
        report, models=[model("good")], reference="", ensemble=None, reference_values=None
    )
    text = text_of(render(plain))
    assert "ndcg@5,validmrr" in text
    for words in ("insample", "minus", "heldout", "falsediscovery", "Ensemble"):
        assert words not in text, words


def test_the_contents_list_leads_to_every_section(report: Report) -> None:
    page = render(report)
    targets = re.findall(r'href="#([a-z]+)"', page)
    assert targets == re.findall(r'<section id="([a-z]+)"', page)
    assert len(targets) == 9


def test_the_page_needs_no_network(report: Report) -> None:
    page = render(report)
    outline = Outline(page)
    assert not {"link", "img", "iframe", "object", "base"} & set(outline.tags)
    assert not {"src", "srcset", "data", "action"} & set(outline.attributes)
    assert not re.search(r"https?://|@import|url\((?!data:)", page)
    assert not re.search(r'href="(?!#|data:)', page)
    assert "default-src 'none'" in page


def test_the_policy_allows_only_the_script_of_the_page(report: Report) -> None:
    page = render(report)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in page
    assert not re.search(r"\son[a-z]+=", page)


def test_markup_in_data_stays_text(report: Report) -> None:
    page = render(report)
    assert page.count("<script") == 1
    # Two queries, two captions and two region titles in the examples; a query and two captions in
    # the table; a name in a legend; the command.
    assert Outline(page).text.count(HOSTILE) == 10


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


def test_a_photo_is_on_the_page_once(report: Report) -> None:
    plain = render(report)
    product = dataclasses.replace(report.best[0].candidates[0], photo=b"jpeg", weights=(1.0,))
    other = dataclasses.replace(product, photo=b"other")
    example = dataclasses.replace(
        report.best[0], candidates=(product, other, product), words=(("red", 1.0),)
    )
    missed = dataclasses.replace(report.queries[0].missed[0], thumb=b"thumb")
    rows = [dataclasses.replace(row, missed=(missed,)) for row in report.queries]
    page = render(dataclasses.replace(report, best=[example], worst=[example], queries=rows))
    assert re.findall(r'href="(data:[^"]+)"', page) == [
        "data:image/jpeg;base64,anBlZw==",
        "data:image/jpeg;base64,b3RoZXI=",
    ]
    assert re.findall(r'href="#(photo\d)"', page) == ["photo0", "photo1", "photo0"] * 2
    assert page.count("url(data:image/jpeg;base64,dGh1bWI=)") == 1
    assert page.count('class="thumb thumb0"') == 3
    assert '<main class="photos">' in page
    assert "The opacity of an outline" in Outline(page).text
    assert "Outlines are" not in Outline(plain).text


def test_the_table_of_queries_is_sorted_and_searched(report: Report, tmp_path: Path) -> None:
    """In Chromium: a click on a heading sorts, a word in the search field hides other rows."""
    page = render(report)
    steps = """
    const head = [...document.querySelectorAll(".queries th")];
    const ids = () => [...document.querySelectorAll(".queries tbody tr")]
      .filter((row) => !row.hidden).map((row) => row.cells[3].textContent).join(" ");
    const seen = [ids()];
    head[3].click(); seen.push(ids());
    head[3].click(); seen.push(ids() + " " + head[3].getAttribute("aria-sort"));
    const search = document.getElementById("search");
    search.value = "GREEN shoes"; search.dispatchEvent(new Event("input"));
    seen.push(ids() + " " + document.getElementById("found").textContent);
    document.title = seen.join("; ");
    """
    # The policy of the page forbids the script of this test.
    page = re.sub(r"; script-src '[^']*'", "; script-src 'unsafe-inline'", page)
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", f"<script>{steps}</script></body>"))
    dom = in_chromium(path)
    assert re.findall(r"<title>(.*?)</title>", dom)[0].split("; ") == [
        "0.125 1.000 0.500",
        "0.125 0.500 1.000",
        "1.000 0.500 0.125 descending",
        "1.000 1 of 3 queries",
    ]


def test_a_phone_needs_no_sideways_scrolling(report: Report, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(render(report))
    script = """
    onload = () => { const inner = document.querySelector("iframe").contentDocument;
      document.title = inner.documentElement.scrollWidth; };
    """
    (tmp_path / "phone.html").write_text(
        f'<iframe src="page.html" width="360" height="700"></iframe><script>{script}</script>'
    )
    (width,) = re.findall(r"<title>(\d+)</title>", in_chromium(tmp_path / "phone.html"))
    assert int(width) <= 360


def in_chromium(path: Path) -> str:
    """The document after its scripts have run."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--allow-file-access-from-files", "--dump-dom", path.as_uri()]
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not installed")
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
