"""``shopsight demo``: the full pipeline on synthetic data."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shopsight.api.data import prepare_kddcup, prepare_photos
from shopsight.api.evaluation import audit
from shopsight.api.info import DEMO_MARKER
from shopsight.api.training import train
from shopsight.cli.output import print_json, print_result
from shopsight.cli.parser import Parser
from shopsight.cli.step_log import StepLog
from shopsight.config import SyntheticShopConfig, WorldConfig
from shopsight.data.dataset import PreparedData
from shopsight.demo.baseline import BASELINE, centroid_run
from shopsight.demo.world import make_world
from shopsight.errors import OutputError, UsageError
from shopsight.formats.outputs import check_output_folder

if TYPE_CHECKING:
    from shopsight.api.ranker import Ranker

SHOP, REGIONS = "shop", "regions"
_QUERIES = {SHOP: "red dress with dots", REGIONS: "red dress"}
MIN_PRODUCTS = 300  # fewer leave too little to train and evaluate on


class _Dataset(NamedTuple):
    """A prepared data set, its recipe and the heading of its report.

    ``note`` maps a product id to a short description; None if the data set has titles.
    """

    data: PreparedData
    recipe: str
    title: str
    note: Callable[[str], str] | None


def run(command: str, arguments: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight demo``."""
    args = _parser().read(arguments)
    if args.products < MIN_PRODUCTS:
        raise UsageError(f"--products must be at least {MIN_PRODUCTS}, not {args.products}")
    out = Path(args.out)
    _claim(out)
    silent = args.quiet or args.json
    steps = StepLog(silent=silent)
    dataset = (
        _synthetic_shop(out, args.products, args.seed, steps)
        if args.world == SHOP
        else _small_world(out, args.seed, steps)
    )
    ranker, report = _trained(out, dataset, args.seed, steps), out / "report.html"
    indexed = _indexed(out, ranker, dataset, steps)
    assert ranker.results is not None, "the demo runs in one process"
    if args.json:
        print_json({**ranker.results.to_dict(), "report": str(report)})
        return
    print()
    print_result(ranker.results)
    print(
        "\n".join(["Try next:", *(f"  {line}" for line in commands(out, args.world, indexed)), ""])
    )
    print(f"Report: {report.resolve()}")


def _parser() -> Parser:
    parser = Parser(
        "demo",
        "Run the full pipeline on a synthetic shop in a few minutes: generate products, photos and"
        " a click log; extract regions; audit the candidate pools; train, rank, fuse and compare"
        " every model; write runs, a submission and a report; build a search index. With --world"
        " regions it starts from raw files in the competition's format, with regions but no"
        " photos.",
        [
            "demo",
            "demo --out /tmp/demo --products 1000 --seed 1",
            "demo --world regions --out world",
            "demo --json",
        ],
    )
    parser.add_argument("--out", metavar="DIR", default="demo", help="output folder")
    parser.add_argument("--world", choices=(SHOP, REGIONS), default=SHOP, help="data set")
    parser.add_argument(
        "--products",
        type=int,
        default=SyntheticShopConfig.products,
        help="number of products of the shop",
    )
    return parser


def _claim(out: Path) -> None:
    """Mark the output folder as a demo; a folder with other content is never overwritten."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: a file is in the way; choose another --out")
    if out.exists() and any(out.iterdir()) and not (out / DEMO_MARKER).is_file():
        raise OutputError(f"{out} exists and is not a demo folder; choose another --out")
    check_output_folder(out, ("data.json", "run.json", "index.json"))
    out.mkdir(parents=True, exist_ok=True)
    (out / DEMO_MARKER).touch()  # first, so that an interrupted demo can be rerun


def _trained(out: Path, dataset: _Dataset, seed: int, steps: StepLog) -> Ranker:
    data = dataset.data
    steps.done("audit", audit(data).verdict)
    _delete(out / "run")
    return train(
        data,
        dataset.recipe,
        out / "run",
        seed=seed,
        baselines={BASELINE: centroid_run(data, "valid")},
        title=dataset.title,
        note=dataset.note,
        report=out / "report.html",
        quiet=steps.silent,
        log=steps.done,
    )


def _indexed(out: Path, ranker: Ranker, dataset: _Dataset, steps: StepLog) -> bool:
    """Build an index of all products if the search extra is installed."""
    if find_spec("faiss") is None:
        steps.done("index", "skipped; install it with: pip install 'shopsight[search]'")
        return False
    folder = out / "index"
    _delete(folder, "index.json")
    with ranker.build_index(dataset.data, folder) as index:
        steps.done("index", f"{index.stats()['products']:,} products indexed: {folder}")
    return True


def _delete(folder: Path, mark: str = "run.json") -> None:
    """Delete the output of an earlier demo, if ``mark`` identifies it as such."""
    if (folder / mark).is_file():
        from shutil import rmtree

        rmtree(folder)


def commands(out: Path, world: str = SHOP, indexed: bool = True) -> list[str]:
    """Suggested commands for a demo's output folder; search commands only if ``indexed``."""
    folder = f"./{out}" if str(out).startswith("-") else str(out)

    def quoted(path: str) -> str:
        return shlex.quote(f"{folder}/{path}")

    answers, run, data = quoted("data/answers-valid.json"), quoted("run"), quoted("data")
    runs = [quoted(f"run/runs/valid-{name}.json") for name in ("word-match", "dual")]
    own = {
        SHOP: "shopsight prepare photos TABLE --text title --out DATA   # your own shop",
        REGIONS: "shopsight prepare kddcup RAW --out DATA   # your own competition files",
    }
    index, query = quoted("index"), _QUERIES[world]
    search = [
        f"shopsight search {index} {shlex.quote(query)} --explain",
        f"shopsight serve {index}   # then open the printed address",
    ]
    return [
        *(search if indexed else []),
        f"shopsight describe {run} {data} --split valid",
        f"shopsight rank {run} {data} --split testA --model dual --out dual.json",
        f"shopsight fuse {' '.join(runs)} --normalise zscore --answers {answers} --out fused.json",
        own[world],
        "shopsight train DATA --recipe fashion --out RUN",
    ]


def _synthetic_shop(out: Path, products: int, seed: int, steps: StepLog) -> _Dataset:
    """Generate the synthetic shop and prepare it with classic regions.

    Raises:
        UsageError: the ``photos`` extra is not installed.
    """
    try:
        from shopsight.demo.shop import CLICKS, TABLE, generate_shop
    except ModuleNotFoundError as error:
        raise UsageError(
            f"rendering photos requires {error.name}: pip install 'shopsight[photos]', or run the"
            " demo without photos: shopsight demo --world regions"
        ) from error
    shop = out / "shop"
    generate_shop(shop, SyntheticShopConfig(products=products, queries=products, seed=seed))
    steps.done("generate", f"{products:,} products with photos, table and click log: {shop}")
    data = prepare_photos(shop / TABLE, out / "data", "title", shop / CLICKS, force=True, seed=seed)
    count = data.manifest["regions"]["total"]
    steps.done("prepare", f"{count:,} regions extracted: {out / 'data'}")
    return _Dataset(data, "photos", "Synthetic shop", None)


def _small_world(out: Path, seed: int, steps: StepLog) -> _Dataset:
    """Generate the raw files of the small world and prepare them."""
    config = WorldConfig(seed=seed)
    make_world(out / "raw", config)
    steps.done("generate", f"{config.train_rows:,} clicked pairs as raw files: {out / 'raw'}")
    data = prepare_kddcup(out / "raw", out / "data", force=True)
    steps.done("prepare", f"{data.manifest['products']:,} products stored: {out / 'data'}")
    truth = json.loads((out / "raw" / "truth.json").read_text())["valid"]["products"]
    return _Dataset(data, "tiny", "Small world", lambda product: _description(truth[product]))


def _description(attributes: dict[str, str]) -> str:
    """Short description of a product, the type last.

    >>> _description({"type": "dress", "colour": "red", "material": "silk"})
    'red silk dress'
    """
    others = (value for kind, value in attributes.items() if kind != "type")
    return " ".join([*others, attributes["type"]])
