"""``shopsight search``: products for a query, for a product, for a photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.errors import InputError, UsageError, pluralise
from shopsight.tables import Grid

if TYPE_CHECKING:
    from shopsight.search.results import Explanation, Hit, Results

_FIELDS = 4  # shown of each product
_LONGEST = 60


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight search`` with the words that follow it."""
    parser = Parser(
        "search",
        "Find products of an index: the dual encoder recalls candidates, and the run's ensemble"
        " ranks them.",
        [
            'search INDEX "leopard print shoes"',
            'search INDEX "red dress" -k 5 --filter "price<=50" --filter category=Dresses',
            'search INDEX "red dress" --explain',
            "search INDEX --like 100000017",
            "search INDEX --photo shoe.jpg --json",
        ],
    )
    parser.add_argument("index", metavar="INDEX", help="index folder")
    parser.add_argument("query", metavar="QUERY", nargs="?", help="what is searched for")
    parser.add_argument("--like", metavar="PRODUCT", help="products like this one instead")
    parser.add_argument("--photo", metavar="FILE", help="products like a photo instead")
    parser.add_argument("-k", type=int, default=10, help="most products")
    parser.add_argument(
        "--filter",
        metavar="F",
        action="append",
        default=[],
        help="field=value, field=low..high, field>=low...; may be given again",
    )
    parser.add_argument("--explain", action="store_true", help="say why each was found")
    parser.add_argument(
        "--candidates", type=int, help="products to re-rank (default: the index's setting)"
    )
    parser.add_argument("--no-rerank", action="store_true", help="score by cosine only")
    parser.add_argument("--engine", metavar="URL", help="recall with a Milvus server instead")
    parser.add_argument(
        "--threads", type=int, default=1, help="processor threads; small models want one"
    )
    parser.add_json()
    given = parser.read(arguments)
    if sum(one is not None for one in (given.query, given.like, given.photo)) != 1:
        raise UsageError("give a query, or --like PRODUCT, or --photo FILE")
    if given.k < 1 or (given.candidates is not None and given.candidates < 1):
        raise UsageError("-k and --candidates must be at least 1")
    if given.threads < 1:
        raise UsageError("--threads must be at least 1")
    results = _found(given)
    if given.json:
        print_json(results.to_dict())
    else:
        _print(results, given)


def _found(given: Any) -> Results:
    import torch

    from shopsight.search.searcher import Searcher

    torch.set_num_threads(given.threads)
    filters = filters_of(given.filter)
    searcher = Searcher.open(given.index, given.engine)
    try:
        if given.like is not None:
            return searcher.similar(str(given.like), given.k, filters=filters)
        if given.photo is not None:
            return searcher.search_photo(_content(given.photo), given.k, filters=filters)
        return searcher.search(
            given.query,
            given.k,
            filters=filters,
            candidates=given.candidates,
            rerank=not given.no_rerank,
            explain=given.explain,
        )
    finally:
        searcher.close()


def filters_of(texts: Sequence[str]) -> dict[str, str]:
    """Filters of a command line, by field. Raises UsageError for two of the same field."""
    from shopsight.search.filters import parse_filter

    found: dict[str, str] = {}
    for text in texts:
        field, wanted = parse_filter(text)
        if field in found:
            raise UsageError(f"two filters of {field}; write a range, such as {field}=10..20")
        found[field] = wanted
    return found


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error


def _print(results: Results, given: Any) -> None:
    names = list(dict.fromkeys(name for hit in results.hits for name in hit.fields))[:_FIELDS]
    rows = [
        (str(place), hit.product_id, f"{hit.score:.3f}", *(_cell(hit, name) for name in names))
        for place, hit in enumerate(results.hits, start=1)
    ]
    times = ", ".join(f"{name} {1000 * one:,.1f} ms" for name, one in results.seconds.items())
    note = f"{pluralise(results.total, 'product')} to choose from; {times}"
    if not results.hits:
        print(f"nothing found; {note}")
        return
    print_grid(Grid(("", "product", "score", *names), tuple(rows), note))
    if results.unknown_words:
        print(f"Not in any training query: {', '.join(results.unknown_words)}\n")
    if given.explain:
        for hit in results.hits:
            _print_why(hit)


def _cell(hit: Hit, name: str) -> str:
    text = str(hit.fields.get(name, ""))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _print_why(hit: Hit) -> None:
    shares = ", ".join(f"{name} {share:+.3f}" for name, share in hit.contributions.items())
    print(f"{hit.product_id}: {shares}")
    if hit.explanation is not None:
        print_grid(Grid(("word", "weight", "match", "region"), tuple(_words(hit.explanation))))


def _words(why: Explanation) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in why.words:
        place = ""
        if one.region is not None and one.region < len(why.boxes):
            top, left, bottom, right = (f"{100 * side:.0f}%" for side in why.boxes[one.region])
            place = f"{one.region}: from {top} {left} to {bottom} {right}"
        match = "left out" if one.match is None else f"{one.match:.3f}"
        word = one.word if one.known else f"{one.word} (unknown)"
        rows.append((word, f"{one.weight:.2f}", match, place))
    return rows
