"""``shopsight search``: products for a query, a product or a photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from shopsight.api.search import Index, SearchResults, open_index
from shopsight.cli.argv import as_text
from shopsight.cli.output import print_grid, print_result
from shopsight.cli.parser import Parser, call
from shopsight.errors import UsageError
from shopsight.tables import Grid

if TYPE_CHECKING:
    from shopsight.search.results import Explanation


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight search``."""
    examples = [
        'search INDEX "leopard print shoes"',
        'search INDEX "red dress" -k 5 --filter "price<=50" --filter category=Dresses',
        'search INDEX "red dress" --explain',
        "search INDEX --like 100000017",
        "search INDEX --photo shoe.jpg --json",
    ]
    parser = Parser("search", Index.search, examples)
    parser.add_parameters(open_index, path="INDEX", engine="URL")
    add = parser.add_argument
    add("query", metavar="QUERY", nargs="?", help="text query")
    add("--like", metavar="PRODUCT", type=str, help="find products similar to a product")
    add("--photo", metavar="FILE", help="find products similar to a photo")
    add("-k", type=int, default=10, help="maximum number of products")
    text = "field=value, field=low..high, field>=low...; repeatable"
    add("--filter", metavar="F", action="append", default=[], help=text)
    add("--no-rerank", action="store_false", dest="rerank", help="score by cosine only")
    add("--threads", type=int, default=1, help="CPU threads")
    parser.add_parameters(Index.search, skip={"filters"})
    args = parser.read(argv)
    if sum(value is not None for value in (args.query, args.like, args.photo)) != 1:
        raise UsageError("give a query, or --like PRODUCT, or --photo FILE")
    if args.k < 1 or (args.candidates is not None and args.candidates < 1):
        raise UsageError("-k and --candidates must be at least 1")
    if args.threads < 1:
        raise UsageError("--threads must be at least 1")
    results = _search(args)
    if len(results) or args.json:
        print_result(results, as_json=args.json)
    else:
        print(f"no products found; {results.grids()[0].note}")
    if not args.json:
        _print_explanations(results, args.explain)


def filters_of(texts: Sequence[str]) -> dict[str, str]:
    """Filters of a command line, by field. Raises UsageError for two of the same field."""
    from shopsight.search.filters import parse_filter

    filters: dict[str, str] = {}
    for text in texts:
        field, value = parse_filter(text)
        if field in filters:
            raise UsageError(f"two filters of {field}; use a range such as {field}=10..20")
        filters[field] = value
    return filters


def _search(args: Any) -> SearchResults:
    import torch

    torch.set_num_threads(args.threads)
    filters = filters_of([as_text(text) for text in args.filter])
    with call(open_index, args) as index:
        if args.like is not None:
            return index.similar(as_text(args.like), args.k, filters)
        if args.photo is not None:
            return index.search_photo(args.photo, args.k, filters)
        return call(index.search, args, query=as_text(args.query), filters=filters)


def _print_explanations(results: SearchResults, explained: bool) -> None:
    if results.results.unknown_words and len(results):
        print(f"Not in any training query: {', '.join(results.results.unknown_words)}\n")
    for hit in results if explained else ():
        parts = (f"{name} {score:+.3f}" for name, score in hit.contributions.items())
        print(f"{hit.product_id}: {', '.join(parts)}")
        if hit.explanation is not None:
            rows = tuple(_word_rows(hit.explanation))
            print_grid(Grid(("word", "weight", "match", "region"), rows))


def _word_rows(explanation: Explanation) -> Iterator[tuple[str, ...]]:
    for word in explanation.words:
        region = ""
        if word.region is not None and word.region < len(explanation.boxes):
            sides = (f"{100 * side:.0f}%" for side in explanation.boxes[word.region])
            region = "{}: from {} {} to {} {}".format(word.region, *sides)
        match = "ignored" if word.match is None else f"{word.match:.3f}"
        text = word.word if word.known else f"{word.word} (unknown)"
        yield text, f"{word.weight:.2f}", match, region
