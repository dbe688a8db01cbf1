"""``shopsight search``: products for a query, a product or a photo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shopsight.api.search import Index, SearchResults, open_index
from shopsight.cli.argv import as_text
from shopsight.cli.output import print_grid, print_result
from shopsight.cli.parser import Parser, call
from shopsight.errors import UsageError
from shopsight.tables import Grid

if TYPE_CHECKING:
    from shopsight.search.results import Explanation

_OPTIONS = ("offset", "sort", "candidates", "rerank", "explain", "correct")


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight search``."""
    examples = [
        'search INDEX "leopard print shoes"',
        'search INDEX "red dress" -k 5 --filter "price<=50" --filter category=Dresses',
        'search INDEX "" --sort price --filter colour=red --filter colour=blue -k 20',
        'search INDEX "red dress" --explain',
        "search INDEX --like 100000017",
        "search INDEX --photo shoe.jpg --json",
    ]
    parser = Parser("search", Index.search, examples)
    parser.add_parameters(open_index, path="INDEX", engine="URL")
    add = parser.add_argument
    add("query", metavar="QUERY", nargs="?", help="text query; '' browses")
    add("--like", metavar="PRODUCT", type=str, help="find products similar to a product")
    add("--photo", metavar="FILE", help="find products similar to a photo")
    add("-k", type=int, default=10, help="maximum number of products")
    text = (
        "field=value, field=low..high, field>=low...; repeatable: values of a field are"
        " alternatives, -field=value excludes"
    )
    add("--filter", metavar="F", action="append", default=[], help=text)
    add("--no-rerank", action="store_false", dest="rerank", help="score by cosine only")
    text = "search for the query as it is written"
    add("--no-correct", action="store_false", dest="correct", help=text)
    add("--threads", type=int, default=1, help="CPU threads")
    add("--offset", type=int, default=0, help="number of products to skip")
    add("--sort", metavar="FIELD", default="", help="order by a field; -FIELD is descending")
    add("--candidates", type=int, help="products to re-rank (default: the index's setting)")
    add("--explain", action="store_true", help="explain every product")
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


def _search(args: Any) -> SearchResults:
    import torch

    from shopsight.search.conditions import parse_filters

    torch.set_num_threads(args.threads)
    filters = parse_filters([as_text(text) for text in args.filter])
    with call(open_index, args) as index:
        if args.like is not None:
            return index.similar(as_text(args.like), args.k, filters, args.offset)
        if args.photo is not None:
            return index.search_photo(args.photo, args.k, filters, args.offset)
        options = {name: args[name] for name in _OPTIONS}
        return index.search(as_text(args.query), args.k, filters, **options)


def _print_explanations(results: SearchResults, explained: bool) -> None:
    if results.results.corrected:
        print(f"Showing results for: {results.results.corrected} (--no-correct: as written)\n")
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
