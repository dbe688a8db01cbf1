"""Relevance labels from click logs: counts, smoothing, grades and invalid logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopsight.config import ClickLabelConfig
from shopsight.data.click_labels import label_clicks, read_click_log, write_pairs
from shopsight.errors import InputError, UsageError
from shopsight.formats.qrels import read_qrels

TABLE = """query,product_id,clicks,impressions
Red  Shoe,a,40,50
red shoe,b,1,1
red shoe,c,1,100
blue hat,d,0,9
"""


def written(tmp_path: Path, text: str, name: str = "log") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_counts_are_added_by_normal_form(tmp_path: Path) -> None:
    log = read_click_log(written(tmp_path, TABLE + "RED shoe,a,2,4\n"))
    assert (log.lines, log.has_impressions, sorted(log.pairs)) == (
        5,
        True,
        ["blue hat", "red shoe"],
    )
    a = log.pairs["red shoe"]["a"]
    assert (a.clicks, a.impressions) == (42, 54)


def test_smoothed_rates_by_hand(tmp_path: Path) -> None:
    """With p = 0.1 and w = 10: a 41/60, b 2/11, c 2/110; three tenths of a's is 0.205."""
    log = read_click_log(written(tmp_path, TABLE))
    assert label_clicks(log, ClickLabelConfig(prior=0.1)) == {"red shoe": {"a": 1}}
    assert label_clicks(log, ClickLabelConfig(prior=0.1, min_ratio=0.2)) == {
        "red shoe": {"a": 1, "b": 1}
    }
    graded = label_clicks(log, ClickLabelConfig(prior=0.1, min_ratio=0.0, grades=4))
    assert graded == {"red shoe": {"a": 4, "b": 2, "c": 1}}
    assert label_clicks(log, ClickLabelConfig(prior=0.1, min_ratio=0.2, min_clicks=2)) == {
        "red shoe": {"a": 1}
    }
    raw = label_clicks(log, ClickLabelConfig(prior=0.1, prior_weight=0))
    assert raw == {"red shoe": {"a": 1, "b": 1}}


def test_without_impressions_all_clicks_of_the_query_count(tmp_path: Path) -> None:
    log = read_click_log(written(tmp_path, "query\tproduct\tclicks\nx\ta\t8\nx\tb\t2\n"))
    assert not log.has_impressions
    assert {pair.impressions for pair in log.pairs["x"].values()} == {10}
    labels = label_clicks(log, ClickLabelConfig(prior=0.5, prior_weight=2, min_ratio=0.4))
    assert labels == {"x": {"a": 1}}  # (8 + 1) / 12 and (2 + 1) / 12


def test_events_are_counted(tmp_path: Path) -> None:
    lines = [
        '{"time": "t", "version": 2, "kind": "search", "query": "X", "products": ["a", "b"]}',
        '{"version": 2, "kind": "impression", "query": "x", "products": ["a"]}',
        '{"version": 2, "kind": "click", "query": "x", "product": "a"}',
        '{"version": 2, "kind": "click", "query": " ", "product": "a"}',
    ]
    log = read_click_log(written(tmp_path, "\n".join(lines)))
    assert (log.pairs["x"]["a"].clicks, log.pairs["x"]["a"].impressions) == (1, 2)
    assert (log.pairs["x"]["b"].clicks, log.pairs["x"]["b"].impressions) == (0, 1)
    assert (log.lines, log.empty) == (4, 1)


def test_other_kinds_and_versions_are_ignored_and_counted(tmp_path: Path) -> None:
    lines = [
        '{"version": 2, "kind": "search", "query": "red hat", "products": ["a", "b"]}',
        '{"version": 2, "kind": "click", "query": "red hat", "product": "a"}',
        '{"version": 2, "kind": "purchase", "query": "red hat", "product": "b"}',
        '{"version": 3, "kind": "click", "query": "red hat", "product": "b"}',
        '{"event": "search", "query": "red h", "products": ["b"]}',
        '{"event": "click", "query": "red h", "product": "b"}',
    ]
    log = read_click_log(written(tmp_path, "\n".join(lines)))
    assert (log.lines, log.ignored, sorted(log.pairs)) == (6, 4, ["red hat"])
    assert label_clicks(log, ClickLabelConfig(prior=0.1)) == {"red hat": {"a": 1}}


def test_pairs_are_written_as_a_table(tmp_path: Path) -> None:
    log = read_click_log(written(tmp_path, TABLE.replace("Red  Shoe,a", '"Red, Shoe",a')))
    answers = label_clicks(log, ClickLabelConfig(prior=0.1, min_ratio=0.2))
    write_pairs(log, answers, tmp_path / "pairs.csv")
    assert (tmp_path / "pairs.csv").read_text() == (
        'query,product_id,clicks\nred shoe,b,1\n"red, shoe",a,40\n'
    )
    write_pairs(log, answers, tmp_path / "pairs.tsv")
    assert (tmp_path / "pairs.tsv").read_text().splitlines()[1] == "red shoe\tb\t1"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("query,product_id\nx,a\n", "line 1: no column clicks"),
        (
            "query,product_id,clicks\nx,a,-1\n",
            "line 2: clicks '-1' is below 0",
        ),
        ("query,product_id,clicks\nx,a,1.5\n", "line 2: clicks '1.5' is not"),
        ("query,product_id,clicks\nx,a\n", "line 2: 2 columns, but the header has 3"),
        ("query,product_id,clicks\nx,,1\n", "line 2: empty product id"),
        ("product_id,clicks\na,1\n", "line 2: no column query; expected"),
        ('query,product_id,clicks\n"x,a,1\n', "broken table"),
        (
            '{"version": 2, "kind": "search", "query": "x"}',
            'line 1: search event without "products"',
        ),
        ('{"version": 2, "kind": "click", "query": "x"}', "line 1: no column product_id; expected"),
        ('{"version": 2, "kind": "click", "query": 3}', "line 1: query 3 is not a string"),
        ('{"query": "x"\n', "line 1: broken JSON"),
        ('{"query": "x", "product": "a", "clicks": true}', "clicks True is not"),
        ("{}\n[]\n", "line 1: no column query; expected"),
    ],
)
def test_invalid_logs_name_the_line(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_click_log(written(tmp_path, text))
    assert sentence in str(caught.value)


def test_invalid_settings() -> None:
    for settings in (
        {"prior": 1.0},
        {"min_clicks": 0},
        {"grades": 0},
        {"min_ratio": -0.1},
        {"prior_weight": -1},
    ):
        with pytest.raises(UsageError):
            ClickLabelConfig(**settings)


def test_the_command_writes_qrels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from shopsight.cli.main import main

    log, out = written(tmp_path, TABLE), tmp_path / "answers.json"
    assert main(["judge", str(log), "--out", str(out), "--prior", "0.1", "--json"]) == 0
    assert read_qrels(out).relevance == {"red shoe": {"a": 1}}
    assert '"judged": 1' in capsys.readouterr().out
    assert main(["judge", str(log), "--out", str(out), "--min-clicks", "99"]) == 2
    assert "no product was clicked often enough" in capsys.readouterr().err
