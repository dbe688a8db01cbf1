"""Large tables give what line-by-line reading gives, errors and their places included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.test_bad_scores import BAD
from formats.test_layouts import ANSWERS, RANKED, RUNS
from formats.test_runs import EXPECTED, SHAPES
from shopsight.errors import InputError
from shopsight.formats import row_reader
from shopsight.formats.candidates import read_candidates
from shopsight.formats.large_tables import parse_table
from shopsight.formats.layouts import Layout
from shopsight.formats.qrels import read_qrels
from shopsight.formats.runs import read_run
from shopsight.types import Pools

SMALL, LARGE = 1 << 30, 0


def both(monkeypatch: pytest.MonkeyPatch, read, path: Path) -> list[object]:  # type: ignore[no-untyped-def]
    results = []
    for size in (SMALL, LARGE):
        monkeypatch.setattr(row_reader, "_LARGE", size)
        try:
            results.append(read(path).to_dict())
        except InputError as error:
            results.append(str(error))
    return results


@pytest.mark.parametrize("text", [*SHAPES.values(), *RUNS.values(), *RANKED.values()])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_runs_are_equal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, newline: str
) -> None:
    (tmp_path / "run").write_bytes(text.replace("\n", newline).encode())
    small, large = both(monkeypatch, read_run, tmp_path / "run")
    assert large == small
    assert isinstance(large, dict)


@pytest.mark.parametrize("lines", ANSWERS.values(), ids=ANSWERS)
def test_answers_are_equal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: list[str]
) -> None:
    (tmp_path / "answers").write_text("\n".join(lines))
    small, large = both(monkeypatch, read_qrels, tmp_path / "answers")
    assert large == small


@pytest.mark.parametrize(("text", "_"), BAD.values(), ids=BAD)
def test_errors_are_equal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, _: str
) -> None:
    (tmp_path / "run").write_text(text)
    for read in (read_run, read_qrels):
        small, large = both(monkeypatch, read, tmp_path / "run")
        assert large == small


def test_a_fractional_grade_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("\n1 0 a 1\n1 0 b 0.5\n")
    _, large = both(monkeypatch, read_qrels, tmp_path / "answers")
    assert str(large).endswith("line 3, column 4: grade '0.5' is not a whole number")


TREC = Layout("table", None, 6, 0, 2, 4)


@pytest.mark.parametrize("text", [*(SHAPES[name] for name in ("trec", "trec tabs"))])
def test_the_fast_path_is_taken(text: str) -> None:
    columns = parse_table(text, TREC, 0)
    assert columns is not None
    queries, query_idx, names, name_idx, values = columns
    found: dict[str, dict[str, float]] = {query: {} for query in queries}
    for query, name, value in zip(query_idx, name_idx, values, strict=True):
        found[queries[query]][names[name]] = value
    assert found == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "1 Q0 a 1 nan t\n",
        "1 Q0 a 1 1e101 t\n",
        "1 Q0 a 1 x t\n",
        "1 Q0 a 1 0.5 t\n1 Q0 b\n",
        f"1 Q0 {'9' * 2000} 1 0.5 t\n",
    ],
)
def test_irregular_tables_are_left_to_the_reader_of_lines(text: str) -> None:
    assert parse_table(text, TREC, 0) is None


def test_spellings_with_blanks_are_one_id() -> None:
    columns = parse_table("a,x ,1\n a, x,2\na ,y,3\n", Layout("table", ",", 3, 0, 1, 2), 0)
    assert columns is not None
    assert (columns[0], columns[2]) == (("a",), ["x", "y"])
    assert columns[3].tolist() == [0, 0, 1]


cell = st.text("abc0 7\u3000é", min_size=1, max_size=4)


@given(
    lines=st.lists(st.tuples(cell, cell, st.floats(-1e100, 1e100)), min_size=1, max_size=9),
    separator=st.sampled_from([" ", "\t", ","]),
)
def test_any_table_is_equal(
    lines: list[tuple[str, str, float]],
    separator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("table") / "run"
    path.write_text("\n".join(f"{q}{separator}{p}{separator}{v!r}" for q, p, v in lines))
    with pytest.MonkeyPatch.context() as monkeypatch:
        small, large = both(monkeypatch, read_run, path)
    assert large == small


WORDS = [
    *("1", "2", "Q0", "0", "a", "b", "0.5", "[", "]", "'a'", ",", "\t", " ", ":", "nan", "qid"),
    *("pid", "score", "rank", "label", "product1", '"', "{", "}", "[[", "]]", "true", "\n", "x y"),
    *("(", ")", "np.float64(1)", "1e999", "sep=;", ";", "|", '"qid":', '"a"', "null", "query_id"),
    "\u3000",
]


@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=40))
def test_any_text_is_read_equally_or_rejected_in_a_line(
    words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_text("".join(words))

    def read_pools(path: Path) -> Pools:
        return read_candidates(path).pools

    with pytest.MonkeyPatch.context() as monkeypatch:
        for read in (read_run, read_qrels, read_pools):
            small, large = both(monkeypatch, read, path)
            assert large == small
            assert isinstance(small, dict) or "\n" not in str(small)


@pytest.mark.parametrize("read", [read_run, read_qrels, read_candidates])
def test_huge_lines(read, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for line in (
        "x" * 5_000_000,
        "1 " * 1_000_000,
        "[" * 1_000_000,
        "1,[" + "'a'," * 300_000 + "[1]]",
    ):
        (tmp_path / "file").write_text(line)
        with pytest.raises(InputError) as caught:
            read(tmp_path / "file")
        assert len(str(caught.value)) < 1_000


def test_more_than_one_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pyarrow reads blocks of a megabyte, each with its own numbers of ids."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(500, 100)).tolist()
    with open(tmp_path / "run", "w") as file:
        for i, row in enumerate(scores):
            file.writelines(f"q{i} Q0 p{(i + j) % 777} {j} {v!r} t\n" for j, v in enumerate(row))
    small, large = both(monkeypatch, read_run, tmp_path / "run")
    assert large == small
    with open(tmp_path / "run", "a") as file:
        file.write("q3 Q0 p4 1 0.5 t\n")
    with pytest.raises(InputError, match=r"line 50001: duplicate .* 'q3' \(first in line 302\)"):
        read_run(tmp_path / "run")
