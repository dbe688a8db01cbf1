"""``shopsight audit``: does a candidate pool give its answers away?"""

from __future__ import annotations

from pathlib import Path

from shopsight.cli.options import check_inputs
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.errors import InputError
from shopsight.formats.candidates import CandidateFile, read_candidates
from shopsight.formats.qrels import read_qrels
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.ranking.audit import audit
from shopsight.types import FloatArray, Qrels


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight audit`` with the words that follow it."""
    parser = Parser(
        "audit",
        "Does a candidate pool give its answers away? Ranks the candidates by how few pools offer"
        " them, with no model, and compares that with random order; also finds repeated products,"
        " empty and repeated queries, and answers that are out of reach.",
        [
            "audit valid.tsv --answers valid_answer.json",
            "audit valid_imagebert.tsv --answers valid_answer.json --json",
            "audit data --split valid",
            "audit testB_imagebert.tsv",
        ],
    )
    parser.add_argument(
        "pools",
        metavar="POOLS",
        help="a score file; a table with query_id and product_id columns; or a prepared folder",
    )
    parser.add_argument(
        "--answers",
        metavar="A",
        help="competition JSON or TREC qrels; a prepared folder may have its own",
    )
    parser.add_argument("--split", metavar="S", default="valid", help="split of a prepared folder")
    parser.add_json()
    given = parser.read(arguments)
    check_inputs(given.pools, given.answers)
    source, qrels = _read(given.pools, given.split)
    if given.answers:
        qrels = read_qrels(given.answers)

    def interval(values: FloatArray) -> tuple[float, float]:
        return bootstrap_interval(values, seed=given.seed)

    result = audit(source.pools, qrels, interval, source.texts)
    if given.json:
        print_json(result.to_dict())
        return
    print(result.verdict)
    print()
    for grid in result.grids():
        print_grid(grid)


def _read(path: str, split: str) -> tuple[CandidateFile, Qrels | None]:
    """The pools, and the answers that a prepared folder has of its own."""
    folder = Path(path)
    if not folder.is_dir():
        return read_candidates(path), None
    if not (folder / "data.json").is_file():
        raise InputError("a folder, but not a prepared one (it has no data.json)", path=path)
    # Tables are Parquet there; only this branch pays for reading them.
    from shopsight.data.dataset import PreparedData

    data = PreparedData.open(folder)
    queries = data.queries(split)
    texts = dict(zip(queries.ids, queries.texts, strict=True))
    qrels = data.qrels(split) if data.has_qrels(split) else None
    return CandidateFile(data.pools(split), texts), qrels
