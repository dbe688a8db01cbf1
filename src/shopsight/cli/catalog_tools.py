"""``shopsight tag | dedupe | judge``: what a shop does next to search."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.cli.progress import progress_bar
from shopsight.config import ClickLabelConfig, DedupeConfig
from shopsight.data.dataset import PreparedData
from shopsight.errors import UsageError, pluralise
from shopsight.formats.atomic import atomic_write, write_json
from shopsight.tables import Grid

_AT_ONCE = 512
_SHOWN = 20  # groups of a table


def run(command: str, arguments: list[str]) -> None:
    """Run one of this family's commands with the words that follow it."""
    {"tag": _tag, "dedupe": _dedupe, "judge": _judge}[command](arguments)


def _tag(arguments: list[str]) -> None:
    parser = Parser(
        "tag",
        "Write tags and a caption for every product, by the pretrained model: for catalogues with"
        ' poor titles. One JSON object a line: {"product_id", "tags": [[word, probability], ...],'
        ' "caption", "log_probability"}.',
        ["tag RUN DATA --out tags.jsonl", "tag RUN DATA --out tags.jsonl --tags 3 --beam 1"],
    )
    parser.add_argument("run", metavar="RUN", help="run folder with a trained label-match stage")
    parser.add_argument("data", metavar="DATA", help="prepared folder")
    parser.add_argument("--out", metavar="F", required=True, help="where to write it")
    parser.add_argument("--tags", type=int, default=8, help="most tags a product")
    parser.add_argument("--beam", type=int, default=3, help="beam width; 1 is greedy search")
    parser.add_argument("--depth", type=int, default=15, help="most tokens of a caption")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_json()
    given = parser.read(arguments)
    if min(given.tags, given.beam, given.depth) < 1:
        raise UsageError("--tags, --beam and --depth must be at least 1")
    data = PreparedData.open(given.data)

    from shopsight.inference.captioner import Captioner
    from shopsight.training.distributed import choose_device

    describer = Captioner.read(given.run, data, choose_device(given.device))
    ids = data.store.product_ids
    with atomic_write(given.out) as file, progress_bar(quiet=given.quiet or given.json) as bar:
        task = bar.add_task("tag", total=len(ids), rate="")
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            for one in describer.describe(some, given.tags, given.beam, given.depth):
                caption, chance = one.captions[0] if one.captions else ("", 0.0)
                row = {
                    "product_id": one.product_id,
                    "tags": [[word, round(share, 4)] for word, share in one.tags],
                    "caption": caption,
                    "log_probability": round(chance, 4),
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            bar.update(task, completed=start + len(some))
    if given.json:
        print_json({"products": len(ids), "out": given.out})
    elif not given.quiet:
        print(f"{pluralise(len(ids), 'product')} tagged; written: {given.out}")


def _dedupe(arguments: list[str]) -> None:
    parser = Parser(
        "dedupe",
        "Find near-identical products of an index: nearest by the dual encoder, and with photos"
        " that differ in a few bits of their difference hashes only.",
        ["dedupe INDEX", "dedupe INDEX --cosine 0.95 --bits 10 --json"],
    )
    parser.add_argument("index", metavar="INDEX", help="index folder")
    parser.add_class_arguments(DedupeConfig, None)
    parser.add_json()
    given = parser.read(arguments)
    config = DedupeConfig(**_settings(DedupeConfig, given))

    from shopsight.search.duplicates import find_duplicates
    from shopsight.search.snapshot import Snapshot

    snapshot = Snapshot.current(given.index)
    with progress_bar(quiet=given.quiet or given.json) as bar:
        task = bar.add_task("compare", total=len(snapshot), rate="")
        groups = find_duplicates(
            snapshot,
            config,
            lambda _, done, total: bar.update(task, completed=done, total=total),
        )
    spare = sum(len(one.product_ids) - 1 for one in groups)
    if given.json:
        print_json({"groups": [asdict(one) for one in groups], "spare": spare})
        return
    if groups:
        rows = [
            (
                str(len(one.product_ids)),
                f"{one.cosine:.4f}",
                "yes" if one.same_file else "no",
                " ".join(one.product_ids),
            )
            for one in groups[:_SHOWN]
        ]
        note = f"{len(groups) - _SHOWN:,} more groups with --json" if len(groups) > _SHOWN else ""
        print_grid(Grid(("products", "cosine", "same file", ""), tuple(rows), note))
    print(f"{pluralise(len(groups), 'group')}; {pluralise(spare, 'product')} could go")


def _judge(arguments: list[str]) -> None:
    parser = Parser(
        "judge",
        "Turn a query log into answers: products that were clicked often enough, by a click rate"
        " that is smoothed with a prior. The log is what `shopsight serve --log` writes, or a"
        " table with the columns query, product_id, clicks and, if known, impressions. The"
        " queries' texts, in their normal form, are their ids.",
        [
            "judge log.jsonl --out answers.json",
            "judge clicks.csv --out answers.json --pairs pairs.csv --clicks 2",
        ],
    )
    parser.add_argument("log", metavar="LOG", help="query log, plain or gzipped; - is stdin")
    parser.add_argument("--out", metavar="A", required=True, help="answers, as JSON")
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help="the relevant pairs as a table too (.csv or .tsv), for `prepare photos --clicks`",
    )
    parser.add_class_arguments(ClickLabelConfig, None)
    parser.add_json()
    given = parser.read(arguments)
    config = ClickLabelConfig(**_settings(ClickLabelConfig, given))

    from shopsight.data.click_labels import judged, read_log, write_pairs

    log = read_log(given.log)
    answers = judged(log, config)
    if not answers:
        raise UsageError(f"{given.log}: no product was clicked often enough; lower --clicks")
    write_json(given.out, answers)
    if given.pairs:
        write_pairs(log, answers, given.pairs)
    pairs = sum(map(len, answers.values()))
    if given.json:
        print_json(
            {"lines": log.lines, "queries": len(log.counts), "empty": log.empty,
             "judged": len(answers), "pairs": pairs, "out": given.out}
        )  # fmt: skip
    elif not given.quiet:
        of = pluralise(len(log.counts), "query", "queries")
        print(
            f"{pluralise(pairs, 'relevant product')} of"
            f" {pluralise(len(answers), 'query', 'queries')} ({of} in"
            f" {pluralise(log.lines, 'line')}); written: {given.out}"
        )


def _settings(kind: type, given: Any) -> dict[str, Any]:
    return {one.name: getattr(given, one.name) for one in fields(kind)}
