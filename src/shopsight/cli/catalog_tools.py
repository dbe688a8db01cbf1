"""``shopsight tag | dedupe | judge``: catalogue maintenance."""

from __future__ import annotations

from dataclasses import asdict

from shopsight.api.evaluation import judge
from shopsight.api.ranker import Ranker, open_ranker
from shopsight.api.search import Index
from shopsight.cli.output import print_json, print_result
from shopsight.cli.parser import Parser, call
from shopsight.cli.progress import stage_progress
from shopsight.errors import pluralise
from shopsight.formats.outputs import check_output_file


def run(command: str, argv: list[str]) -> None:
    """Run one of the commands of this module."""
    {"tag": _tag, "dedupe": _dedupe, "judge": _judge}[command](argv)


def _tag(argv: list[str]) -> None:
    examples = [
        "tag RUN DATA --out tags.jsonl",
        "tag RUN DATA --out tags.jsonl --tags 3 --beam 1",
    ]
    parser = Parser("tag", Ranker.tag, examples)
    parser.add_parameters(open_ranker, path="RUN")
    parser.add_parameters(Ranker.tag, "out")
    args = parser.read(argv)
    check_output_file(args.out)
    with stage_progress(args) as progress:
        ranker = call(open_ranker, args)
        products = call(ranker.tag, args, progress=progress)
    if args.json:
        print_json({"products": products, "out": args.out})
    elif not args.quiet:
        print(f"{pluralise(products, 'product')} tagged; written: {args.out}")


def _dedupe(argv: list[str]) -> None:
    examples = ["dedupe INDEX", "dedupe INDEX --cosine 0.95 --bits 10 --json"]
    parser = Parser("dedupe", Index.duplicates, examples)
    parser.add_parameters(Index, skip={"engine"}, path="INDEX")
    parser.add_parameters(Index.duplicates)
    args = parser.read(argv)
    with stage_progress(args) as progress:
        duplicates = call(Index(args.path).duplicates, args, progress=progress)
    print_result(duplicates, as_json=args.json)


def _judge(argv: list[str]) -> None:
    examples = [
        "judge log.jsonl --out answers.json",
        "judge clicks.csv --out answers.json --pairs pairs.csv --min-clicks 2",
    ]
    parser = Parser("judge", judge, examples)
    parser.add_parameters(judge, "out")
    args = parser.read(argv)
    labels = call(judge, args)
    if args.json:
        print_json({**asdict(labels), "out": args.out})
    elif not args.quiet:
        queries = pluralise(labels.queries, "query", "queries")
        print(
            f"{pluralise(labels.pairs, 'relevant product')} for {labels.judged:,} of {queries}"
            f" ({pluralise(labels.lines, 'line')}, {labels.ignored:,} ignored: other kinds or"
            f" versions); written: {args.out}"
        )
