"""``shopsight tag | dedupe | judge``: catalogue maintenance."""

from __future__ import annotations

import json
from dataclasses import asdict

from shopsight.cli.options import config_from
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.cli.progress import progress_bar, progress_callback
from shopsight.config import ClickLabelConfig, DedupeConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError, pluralise
from shopsight.formats.atomic import atomic_write, write_json
from shopsight.tables import Grid

_BATCH = 512
_MAX_GROUPS = 20  # rows of the printed table


def run(command: str, argv: list[str]) -> None:
    """Run one of the commands of this module."""
    {"tag": _tag, "dedupe": _dedupe, "judge": _judge}[command](argv)


def _tag(argv: list[str]) -> None:
    parser = Parser(
        "tag",
        "Write tags and a caption for every product with the label-match model, for catalogues with"
        ' poor titles. One JSON object per line: {"product_id", "tags": [[word, probability],'
        ' ...], "caption", "log_probability"}.',
        ["tag RUN DATA --out tags.jsonl", "tag RUN DATA --out tags.jsonl --tags 3 --beam 1"],
    )
    parser.add_argument("run", metavar="RUN", help="run folder with a trained label-match stage")
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    parser.add_argument("--out", metavar="F", required=True, help="JSON Lines file to write")
    parser.add_argument("--tags", type=int, default=8, help="maximum number of tags per product")
    parser.add_argument("--beam", type=int, default=3, help="beam width; 1 is greedy search")
    parser.add_argument("--max-tokens", type=int, default=15, help="maximum caption length")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_json()
    args = parser.read(argv)
    if min(args.tags, args.beam, args.max_tokens) < 1:
        raise UsageError("--tags, --beam and --max-tokens must be at least 1")
    data = PreparedData.open(args.data)

    from shopsight.device import choose_device
    from shopsight.inference.captioner import Captioner
    from shopsight.inference.run_folder import RunFolder

    captioner = Captioner(RunFolder.read(args.run), data, choose_device(args.device))
    ids = data.products
    with atomic_write(args.out) as file, progress_bar(quiet=args.quiet or args.json) as bar:
        progress = progress_callback(bar)
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            for product in captioner.describe(batch, args.tags, args.beam, args.max_tokens):
                caption, log_probability = product.captions[0] if product.captions else ("", 0.0)
                row = {
                    "product_id": product.product_id,
                    "tags": [[word, round(probability, 4)] for word, probability in product.tags],
                    "caption": caption,
                    "log_probability": round(log_probability, 4),
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            progress("tag", start + len(batch), len(ids))
    if args.json:
        print_json({"products": len(ids), "out": args.out})
    elif not args.quiet:
        print(f"{pluralise(len(ids), 'product')} tagged; written: {args.out}")


def _dedupe(argv: list[str]) -> None:
    parser = Parser(
        "dedupe",
        "Find near-duplicate products of an index: neighbours by dual-encoder vectors whose photos"
        " differ in a few bits of their difference hashes only.",
        ["dedupe INDEX", "dedupe INDEX --cosine 0.95 --bits 10 --json"],
    )
    parser.add_argument("index", metavar="INDEX", help="index folder")
    parser.add_class_arguments(DedupeConfig, None)
    parser.add_json()
    args = parser.read(argv)
    config = config_from(DedupeConfig, args)

    from shopsight.search.duplicates import find_duplicates
    from shopsight.search.snapshot import Snapshot

    with progress_bar(quiet=args.quiet or args.json) as bar:
        snapshot = Snapshot.current(args.index)
        groups = find_duplicates(snapshot, config, progress_callback(bar))
    redundant = sum(len(group.product_ids) - 1 for group in groups)
    if args.json:
        print_json({"groups": [asdict(group) for group in groups], "redundant": redundant})
        return
    if groups:
        rows = tuple(
            (
                str(len(group.product_ids)),
                f"{group.cosine:.4f}",
                "yes" if group.same_file else "no",
                " ".join(group.product_ids),
            )
            for group in groups[:_MAX_GROUPS]
        )
        more = len(groups) - _MAX_GROUPS
        note = f"{more:,} more groups with --json" if more > 0 else ""
        print_grid(Grid(("products", "cosine", "same file", ""), rows, note))
    print(f"{pluralise(len(groups), 'group')}; {pluralise(redundant, 'redundant product')}")


def _judge(argv: list[str]) -> None:
    parser = Parser(
        "judge",
        "Turn a click log into relevance judgements: products that were clicked often enough, by a"
        " smoothed click-through rate. The log is what `shopsight serve --log` writes, or a table"
        " with the columns query, product_id, clicks and optionally impressions. Query ids are the"
        " normalised query texts.",
        [
            "judge log.jsonl --out answers.json",
            "judge clicks.csv --out answers.json --pairs pairs.csv --min-clicks 2",
        ],
    )
    parser.add_argument("log", metavar="LOG", help="click log, plain or gzipped; - is stdin")
    parser.add_argument("--out", metavar="A", required=True, help="judgements as JSON")
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="also write the relevant pairs as a table (.csv or .tsv), for `prepare photos"
        " --clicks`",
    )
    parser.add_class_arguments(ClickLabelConfig, None)
    parser.add_json()
    args = parser.read(argv)
    config = config_from(ClickLabelConfig, args)

    from shopsight.data.click_labels import label_clicks, read_click_log, write_pairs

    log = read_click_log(args.log)
    labels = label_clicks(log, config)
    if not labels:
        raise UsageError(f"{args.log}: no product was clicked often enough; lower --min-clicks")
    write_json(args.out, labels)
    if args.pairs:
        write_pairs(log, labels, args.pairs)
    pairs = sum(map(len, labels.values()))
    if args.json:
        print_json(
            {"lines": log.lines, "queries": len(log.pairs), "empty": log.empty,
             "judged": len(labels), "pairs": pairs, "out": args.out}
        )  # fmt: skip
    elif not args.quiet:
        queries = pluralise(len(log.pairs), "query", "queries")
        print(
            f"{pluralise(pairs, 'relevant product')} for {len(labels):,} of {queries}"
            f" ({pluralise(log.lines, 'line')}); written: {args.out}"
        )
