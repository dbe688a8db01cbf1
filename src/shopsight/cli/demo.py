"""``shopsight demo``: the whole way, from photos to trained models, on a shop of its own."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from shopsight.cli.demo_datasets import World, drawn_shop, raw_files
from shopsight.cli.output import print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.cli.step_log import StepLog
from shopsight.config import STAGES, SyntheticShopConfig
from shopsight.config.recipes import load_recipe
from shopsight.demo.baseline import BASELINE, centroid_run
from shopsight.errors import OutputError, UsageError
from shopsight.metrics.evaluate import bootstrap_interval
from shopsight.ranking.audit import audit

if TYPE_CHECKING:
    from shopsight.training.pipeline import Results

MARKER = ".shopsight-demo"
SHOP, REGIONS = "shop", "regions"
_ASKED = {SHOP: "striped tie in red", REGIONS: "red dress"}
FEWEST = 300  # products that are enough to train and to judge on


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight demo`` with the words that follow it."""
    given = _parser().read(arguments)
    if given.products < FEWEST:
        raise UsageError(f"--products must be at least {FEWEST}, not {given.products}")
    out = Path(given.out)
    _claim(out)
    silent = given.quiet or given.json
    steps = StepLog(silent=silent)
    world = (
        drawn_shop(out, given.products, given.seed, steps)
        if given.world == SHOP
        else raw_files(out, given.seed, steps)
    )
    results, page = _trained(out, world, given.seed, steps, quiet=silent)
    indexed = _indexed(out, world, steps)
    if given.json:
        from shopsight.cli.train import results_json

        print_json(results_json(results, page))
        return
    print()
    print_result(results.comparison)
    print(
        "\n".join(["Try next:", *(f"  {line}" for line in commands(out, given.world, indexed)), ""])
    )
    print(f"Report: {page.resolve()}")


def _parser() -> Parser:
    parser = Parser(
        "demo",
        "The whole way on a shop of its own, in a few minutes: draw products, their photos and a"
        " log of clicks; find and describe the regions of the photos; audit the candidate pools;"
        " train every model, rank, fuse, compare; write runs, a submission and a report with"
        " photos; and make an index to search. With --world regions it starts from raw files of"
        " the competition's kind instead, which hold regions and no photos.",
        [
            "demo",
            "demo --out /tmp/demo --products 1000 --seed 1",
            "demo --world regions --out world",
            "demo --json",
        ],
    )
    parser.add_argument("--out", metavar="DIR", default="demo", help="where everything goes")
    parser.add_argument("--world", choices=(SHOP, REGIONS), default=SHOP, help="what it is about")
    parser.add_argument(
        "--products", type=int, default=SyntheticShopConfig.products, help="products of the shop"
    )
    parser.add_json()
    return parser


def _claim(out: Path) -> None:
    """Mark the folder as a demo's. One that holds other things is not ours to write over."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: a file is in the way; choose another --out")
    if out.exists() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise OutputError(f"{out} exists and is no demo folder; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()  # first of all, so that a demo that was cut off can be run again


def _trained(
    out: Path, world: World, seed: int, steps: StepLog, quiet: bool
) -> tuple[Results, Path]:
    from shopsight.cli.train import train_and_report

    data = world.data
    audited = audit(data.pools("valid"), data.qrels("valid"), bootstrap_interval)
    steps.done("audit", audited.verdict)
    _forget(out / "run")
    found = train_and_report(
        data,
        load_recipe(world.recipe, [f"seed={seed}"]),
        list(STAGES),
        out / "run",
        steps,
        quiet=quiet,
        baselines={BASELINE: centroid_run(data, "valid")},
        title=world.title,
        note=world.note,
        page=out / "report.html",
    )
    assert found is not None, "the demo is one process"
    return found


def _indexed(out: Path, world: World, steps: StepLog) -> bool:
    """Make an index of all products, where what search needs is installed."""
    if find_spec("faiss") is None:
        steps.done("index", "left out: pip install 'shopsight[search]' brings what search needs")
        return False
    from shopsight.inference.run_folder import RunFolder
    from shopsight.search.index import build_index

    folder = out / "index"
    _forget(folder, "index.json")
    made = build_index(RunFolder.read(out / "run"), world.data, folder)
    steps.done("index", f"{made.products:,} products to search: {folder}")
    return True


def _forget(folder: Path, mark: str = "run.json") -> None:
    """Remove what an earlier demo left; only what is one, by the file that says so."""
    if (folder / mark).is_file():
        from shutil import rmtree

        rmtree(folder)


def commands(out: Path, world: str = SHOP, indexed: bool = True) -> list[str]:
    """Command lines to try on what a demo left.

    Args:
        out: the demo's folder.
        world: what the demo was about.
        indexed: whether an index is there to search.
    """
    folder = f"./{out}" if str(out).startswith("-") else str(out)

    def quoted(path: str) -> str:
        return shlex.quote(f"{folder}/{path}")

    answers, run, data = quoted("data/answers-valid.json"), quoted("run"), quoted("data")
    runs = [quoted(f"run/runs/valid-{name}.json") for name in ("word-match", "dual")]
    own = {
        SHOP: "shopsight prepare photos TABLE --text title --out DATA   # your own shop",
        REGIONS: "shopsight prepare kddcup RAW --out DATA   # your own competition files",
    }
    index, query = quoted("index"), _ASKED[world]
    search = [
        f"shopsight search {index} {shlex.quote(query)} --explain",
        f"shopsight serve {index}   # then open the page it names",
    ]
    return [
        *(search if indexed else []),
        f"shopsight describe {run} {data} --split valid",
        f"shopsight rank {run} {data} --split testA --model dual --out dual.json",
        f"shopsight fuse {' '.join(runs)} --normalise zscore --answers {answers} --out fused.json",
        own[world],
        "shopsight train DATA --recipe fashion --out RUN",
    ]
