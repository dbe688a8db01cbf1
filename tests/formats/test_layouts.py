"""Layouts are recognised by the structure of many lines; what could mean two things is an error."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from shopsight.errors import InputError
from shopsight.formats.candidates import read_candidates
from shopsight.formats.qrels import read_qrels
from shopsight.formats.runs import read_run

# Two queries; the order of the scores differs from the order of the lines.
Q = {"7": {"x1": 0.25, "x2": 0.5, "x3": -1.0}, "8": {"x2": 3.0}}
PLACES = {"7": {"x2": 3.0, "x1": 2.0, "x3": 1.0}, "8": {"x2": 1.0}}
ROWS = [(query, product, score) for query, row in Q.items() for product, score in row.items()]


def table(header: str, separator: str = ",", row: str = "{q}{s}{p}{s}{v}") -> str:
    lines = [row.format(q=q, p=p, v=v, s=separator) for q, p, v in ROWS]
    return "\n".join([*([header.replace(",", separator)] if header else []), *lines]) + "\n"


RUNS = {
    "trec, commas in the tag": table("", row="{q} Q0 {p} 1 {v} dense,lr=2e-5,64"),
    "trec, odd blanks": table("", row="  {q}\t Q0  {p} 1   {v} tag "),
    "trec, ranks as floats": table("", row="{q} 0 {p} 1.0 {v} tag"),
    "trec, commas": table("", row="{q},Q0,{p},1,{v},tag"),
    "trec under a header": table("qid Q0 docno rank score tag", " ", "{q} Q0 {p} 9 {v} tag"),
    "semicolons": table("", ";"),
    "blanks around": table("", " , ").replace("7", " 7"),
    "excel": "sep=;\n" + table("query_id,product_id,score", ";"),
    "ranx": table("q_id,doc_id,score"),
    "ranx with judgements": table("q_id,doc_id,score,rel", row="{q},{p},{v},1"),
    "beir": table("query-id,corpus-id,score", "\t"),
    "proba": table("query_id,product_id,proba"),
    "oof_pred": table("query_id,product_id,oof_pred"),
    "a score of its own name": table("query_id,product_id,bert_large"),
    "score and others": table("qid,pid,oof_pred,score", row="{q},{p},99,{v}"),
    "pyterrier": table("qid,docid,docno,rank,score,query", row='{q},4,{p},0,{v},"a, b"'),
    "other order": table("score,sku,topic", row="{v},{p},{q}"),
    "pairs": "7,[[0.25, 'x1'], [0.5, 'x2'], [-1.0, 'x3']]\n8,[[3.0, 'x2']]\n",
    "pairs, product first": "7\t[['x1', 0.25], ['x2', 0.5], ['x3', -1]]\n8\t[('x2', 3)]\n",
    "pairs in quotes": "\"7\",\"[[0.25, 'x1'], [0.5, 'x2'], [-1, 'x3']]\"\n8,\"[[3, 'x2']]\"\n",
    "json lines": "\n".join(
        f'{{"query_id": {q}, "docid": "{p}", "score": {v}}}' for q, p, v in ROWS
    ),
    "json records": "["
    + ",\n ".join(f'{{"score": {v}, "qid": "{q}", "pid": "{p}"}}' for q, p, v in ROWS)
    + "]",
    "trec, blanks in the tag": table("", row="{q} Q0 {p} 1 {v} my run 2"),
    "trec without a tag": table("", row="{q} Q0 {p} 1 {v}"),
    "pairs of numpy 2": "7,[(np.float32(0.25), np.str_('x1')), (0.5, 'x2'), (-1, 'x3')]\n"
    "8,[(3, 'x2')]",
    "pairs under a header": "text,qid,hits\na,7,\"[['x1', 0.25], ['x2', .5], ['x3', -1]]\"\n"
    "b,8,\"[['x2', 3]]\"",
    "json lines of lists": '{"qid": 7, "hits": [["x1", 0.25], ["x2", 0.5], ["x3", -1]]}\n'
    '{"qid": 8, "hits": [{"docid": "x2", "score": 3}]}',
    "json by lines": '{"7": {"x1": 0.25, "x2": 0.5, "x3": -1}}\n{"8": [["x2", 3]]}\n',
    "json, scores first": '{"7": [[0.25, "x1"], [0.5, "x2"], [-1, "x3"]], "8": [[3, "x2"]]}',
}
RANKED = {
    "submission": "query-id,product1,product2,product3\n7,x2,x1,x3\n",
    "submission without header": "7,x2,x1,x3\n9,x5,x6,x7\n",
    "blank-separated": "7 x2 x1 x3\n9 x5 x6\n10 x1\n",
    "msmarco": "7\tx2\t1\n7\tx1\t2\n7\tx3\t3\n8\tx2\t1\n",
    "lists": "7,['x2', 'x1', 'x3']\n9,['x5']\n",
    "lists of numpy": "query_id,ranking\n7,['x2' 'x1' 'x3']\n9,['x5']\n",
    "json lines": '{"qid": "7", "results": ["x2", "x1", "x3"]}\n{"qid": "9", "results": []}',
    "words in a cell": "query_id,prediction\n7,x2 x1 x3\n9,x5\n",
    "ranks under a header": "rank,qid,pid\n2,7,x1\n3,7,x3\n1,7,x2\n",
}


@pytest.mark.parametrize("text", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_runs(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "run"
    path.write_bytes(gzip.compress(text.encode(encoding)))
    run = read_run(path)
    assert run.to_dict() == Q
    assert [list(row) for row in run.to_dict().values()] == [["x2", "x1", "x3"], ["x2"]]
    assert read_candidates(path).pools.of("8") == ["x2"]


@pytest.mark.parametrize(
    ("rows", "warning"),
    [
        ("7 Q0 a 1 0.25 t\n7 Q0 b 2 0.5 t\n", "the best rank has the lowest score"),
        ("7 Q0 a 2 1 t\n7 Q0 b 1 1 t\n", "all scores are equal"),
        ("7 Q0 a 1 0.5 t\n7 Q0 b 2 0.25 t\n8 Q0 b 1 1 t\n8 Q0 a 2 1 t\n", ""),
        ("7 Q0 a 0 0.5 t\n7 Q0 b 0 0.75 t\n", ""),
    ],
)
def test_ranks_that_contradict_scores(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rows: str, warning: str
) -> None:
    (tmp_path / "run").write_text(rows)
    with caplog.at_level("WARNING", "shopsight"):
        read_run(tmp_path / "run")
    assert bool(caplog.text) == bool(warning)
    assert warning in caplog.text


@pytest.mark.parametrize("text", RANKED.values(), ids=RANKED)
def test_ranks_and_places(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run"
    path.write_text(text)
    assert list(read_run(path).to_dict()["7"]) == ["x2", "x1", "x3"]


def test_two_ranks_are_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").write_text("7\tb\t1\n7\ta\t2\n8\ta\t1\n")
    with caplog.at_level("WARNING", "shopsight"):
        assert list(read_run(tmp_path / "run").to_dict()["7"]) == ["b", "a"]
    assert "counts 1, 2, 3, ... and is read as ranks" in caplog.text


def test_places_count_down_to_one(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("7 x2 x1 x3\n8 x2\n9 x4 x5 x6\n")
    assert {q: read_run(path).to_dict()[q] for q in PLACES} == PLACES


GRADES = {"7": {"x1": 2, "x2": 0, "x3": 1}, "8": {"x2": 1}}
LISTS = {"7": {"x1": 1, "x3": 1}, "8": {"x2": 1}}
JUDGED = [("7", "x1", 2), ("7", "x2", 0), ("7", "x3", 1), ("8", "x2", 1)]
ANSWERS = {
    "trec": [f"{q} 0 {p} {g}" for q, p, g in JUDGED],
    "trec, grades as floats": [f"{q}\tQ0\t{p}\t{g}.0" for q, p, g in JUDGED],
    "trec, rounds": [f"{q} {4.5 + g} {p} {g}" for q, p, g in JUDGED],
    "three columns": [f"{q} {p} {g}" for q, p, g in JUDGED],
    "beir": ["query-id\tcorpus-id\tscore", *(f"{q}\t{p}\t{g}" for q, p, g in JUDGED)],
    "csv": ["query_id,product_id,relevance", *(f'{q},"{p}",{g}' for q, p, g in JUDGED)],
    "ranx": ["q_id,doc_id,score,rel", *(f"{q},{p},0.5,{g}" for q, p, g in JUDGED)],
    "json records": [
        f'{{"query-id": {q}, "corpus-id": "{p}", "score": {g}}}' for q, p, g in JUDGED
    ],
    "json, whole floats": ['{"7": {"x1": 2.0, "x2": 0.0, "x3": "1"}, "8": {"x2": 1}}'],
}
RELEVANT = {
    "wide": ["query_id\tproduct_id1\tproduct_id2", "7\tx1\tx3", "8\tx2\t"],
    "wide, cut": ["query_id,product1,product2", "7,x1,x3", "8,x2"],
    "lines": ["7 x1 x3", "8 x2"],
    "pairs": ["7,x1", "8,x2", "7,x3"],
    "json": ['{"7": ["x1", "x3"], "8": ["x2"]}'],
    "json lines": [
        '{"query_id": 7, "results": ["x1", "x3"]}',
        '{"query_id": 8, "results": ["x2"]}',
    ],
    "lists in cells": ["query_id,answers", "7,\"['x1', 'x3']\"", "8,\"['x2']\""],
    "lists without quotes": ["query_id,answers", "7,['x1', 'x3']", "8,['x2']"],
    "json lists in cells": ["query_id,products", '7,"[""x1"", ""x3""]"', '8,"[""x2""]"'],
    "bars": ["query_id;products", "7;x1|x3", "8;x2"],
    "colons": ["7: x1 x3", "8: x2"],
    "labels": ["query_id,product_id,label", "7,x1,True", "7,x3,true", "8,x2,TRUE"],
}


@pytest.mark.parametrize("lines", ANSWERS.values(), ids=ANSWERS)
def test_answers(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "answers").write_text("\r\n".join(lines))
    assert read_qrels(tmp_path / "answers").relevance == GRADES


@pytest.mark.parametrize("lines", RELEVANT.values(), ids=RELEVANT)
def test_relevant_products(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "answers").write_text("\n".join(lines))
    assert read_qrels(tmp_path / "answers").relevance == LISTS


def test_whole_floats_are_ids_in_json(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text('{"1": [7.0, 0, "0x"]}')
    assert read_qrels(tmp_path / "answers").relevance == {"1": {"7": 1, "0": 1, "0x": 1}}


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("1 a 3\n1 b 2\n1 c 1\n", "scores, or ranks"),
        ("1 a 2\n1 b 1\n2 a 1\n2 b 2\n", "scores, or ranks"),
        ("1 a 0\n1 b 1\n1 c 2\n", "scores, or ranks"),
        ("1,4007,5015\n2,4060,5071\n", "three columns: the third is a score, or a second product"),
        ("5,0,3,1,2,4\n6,0,9,8,7,5\n", "a TREC run, or a query with five products"),
        ("qid,pid,bert,xlnet\n1,a,0.5,0.75\n", "'bert' and 'xlnet' could both be the score"),
        ("qid,pid,label\n1,a,1\n", "this looks like answers, not a run"),
        ("7 0 x1 1\n7 0 x2 0\n", "this looks like TREC qrels (answers), not a run"),
        ("7 X x1 1 0.5 tag\n7 X x2 2 0.4 tag\n", "6 columns; expected a TREC run"),
        ("7,[[0.5, 'a'], 3]\n", "line 1: entry 2 is 3, not a [product, score] pair"),
        ("7,[[0.5, 'a']\n", "line 1: not a query with a list"),
        ("7,[[0.5, [1, 'a']]]\n", "line 1: not a query with a list"),
        ("7,['a', 'a']\n", "line 1: duplicate product 'a' for query '7'"),
        ("qid,answer,text\n1,a b,c\n", "line 1: the header names no product column"),
        ("search,hit1,hit2\n1,a,b\n2,b,c\n", "this looks like a header without names"),
        ("a 4 7\nb 9 2\n", "the third is a score, or a second product"),
        ("qid,answers\n1,a b\n2,c\n", "line 1: the column 'answers' looks like answers, not a run"),
        ('{"qid": 1, "relevant_ids": [3]}\n{}', "line 1: the column 'relevant_ids' looks like ans"),
        ("7,[[0.5, 'a']]\n7,[[0.5, 'b']]\n", "line 2: duplicate query '7'"),
        ("7,[[nan, 'a']]\n", "line 1: score nan is not a finite number"),
        ('{"qid": 1, "pid": 2}\n{"qid": 1, "pid": 3}\n', "line 1: the header names no score"),
        ('{"qid": 1, "pid": 2, "score": 1}\n3\n', "broken JSON: extra data"),
    ],
)
def test_ambiguous_runs(tmp_path: Path, text: str, readings: str) -> None:
    (tmp_path / "run").write_text(text)
    with pytest.raises(InputError) as caught:
        read_run(tmp_path / "run")
    assert readings in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 4 7 2\n2 5 8 3\n", "TREC qrels, or a query with three products"),
        ("1,4007,5015\n2,4060,5071\n", "three columns: the third is a score, or a second product"),
        ("".join(f"1 p{i} {i}\n" for i in range(1, 7)), "grades, or ranks"),
        ("7 Q0 x1 1 0.5 tag\n", "this looks like a TREC run, not answers"),
        ("qid,pid,score\n1,a,0.5\n", "line 2, column 3: grade '0.5' is not a whole number"),
        ("7,[[0.5, 'a']]\n", "this looks like a run, not answers"),
        ("1,a,1\n1,a,1\n", "line 2: duplicate product 'a' for query '1'"),
        ("1 0 a 1\n1 0 b nan\n", "line 2, column 4: grade 'nan' is not a whole number"),
        ("qid,docno\n7,x1\n", "line 1: the header names no grade column: candidates, or rele"),
        ("search,hits\n1,a\n2,b\n", "this looks like a header without names for query and"),
        ("query_id,product1\n1,a,b\n", "line 2: 3 columns, where the header has 2"),
    ],
)
def test_rejected_answers(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "answers").write_text(text)
    with pytest.raises(InputError) as caught:
        read_qrels(tmp_path / "answers")
    assert reason in str(caught.value)


def test_a_line_for_each_query(tmp_path: Path) -> None:
    """Of three columns, the third holds products if its numbers are ids, and else values."""
    for text, products in (
        ("a 0193 0372\nb 0218 0355\n", ["0193", "0372"]),
        ("a x1 x2\nb x3 x4\n", ["x1", "x2"]),
        ("a 0193 1\nb 0218 1\n", ["0193"]),
        ("a 19 0.5\nb 21 1\n", ["19"]),
    ):
        (tmp_path / "run").write_text(text)
        assert list(read_run(tmp_path / "run").to_dict()["a"]) == products
    for text, grades in (
        ("a 19 1\nb 21 1\n", {"19": 1}),
        ("a 19 2\nb 21 0\n", {"19": 2}),
        ("a 0193 0372\nb 0218 0355\n", {"0193": 1, "0372": 1}),
    ):
        (tmp_path / "answers").write_text(text)
        assert read_qrels(tmp_path / "answers").relevance["a"] == grades


def test_a_query_that_is_a_word_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a Q0 x 1 0.5 t\n1 Q0 x 1 0.5 t\n2 Q0 y 1 0.5 t\n")
    assert list(read_run(tmp_path / "run").to_dict()) == ["a", "1", "2"]


def test_a_header_settles_what_is_ambiguous(tmp_path: Path) -> None:
    lines = "1,a,3\n1,b,2\n1,c,1\n"
    for name, best in (("score", "a"), ("rank", "c")):
        (tmp_path / "run").write_text(f"query_id,product_id,{name}\n{lines}")
        assert next(iter(read_run(tmp_path / "run").to_dict()["1"])) == best


def test_one_odd_line_does_not_change_the_layout(tmp_path: Path) -> None:
    """The first line of a TREC run has commas that would make it three columns."""
    lines = ["1 Q0 a 1 0.5 x,1,2", *(f"1 Q0 b{i} 2 0.25 plain" for i in range(9))]
    for rotated in (lines, lines[1:] + lines[:1]):
        (tmp_path / "run").write_text("\n".join(rotated))
        assert len(read_run(tmp_path / "run").to_dict()["1"]) == 10
    (tmp_path / "run").write_text("\n".join([*lines, "1,c,0.5"]))
    with pytest.raises(InputError, match="line 11: 1 column, where other lines have 6"):
        read_run(tmp_path / "run")
