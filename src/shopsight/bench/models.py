"""``shopsight bench train | rank``: ours and the plain way, side by side, at the paper's sizes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from shopsight.batches.batch import PairBatch, Regions, Tokens, as_regions, pad_tokens
from shopsight.batches.loader import Loader
from shopsight.bench import reference_models as reference_models
from shopsight.bench.fixtures import PAPER, SMALL, BenchData, Size
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.config import (
    LabelMatchConfig,
    NegativesConfig,
    SentenceMatchConfig,
    TrainConfig,
    WordMatchConfig,
)
from shopsight.data.region_store import RegionStore
from shopsight.inference.encode import encode
from shopsight.inference.trunk_cache import TrunkCache
from shopsight.models.image_encoder import ImageEncoder
from shopsight.models.label_match import LabelMatch
from shopsight.models.registry import PRETRAINING, model_specs
from shopsight.tables import Grid
from shopsight.training.distributed import DistributedContext
from shopsight.training.optim import make_optimizer
from shopsight.training.tasks.base import Task
from shopsight.training.tasks.label_match import LabelMatchTask
from shopsight.training.tasks.sentence_match import SentenceMatchTask
from shopsight.training.tasks.word_match import WordMatchTask
from shopsight.types import Pools

_MATRIX = 2048
_REPEATS = 12  # of the matrix product; the quickest counts
_NAIVE_PAIRS = 64
_NAMES = [spec.name for spec in model_specs() if spec.uses_trunk]


@dataclass(frozen=True)
class Pace:
    """One line of the table.

    Attributes:
        what: a stage or a model.
        plain: pairs a second, the plain way.
        ours: pairs a second.
        ratio: of the two.
        share: of the machine's measured matrix rate that ours reaches; what is not a matrix
            product counts as no work.
        waiting: share of the time that ours waits for data.
    """

    what: str
    plain: float
    ours: float
    ratio: float
    share: float
    waiting: float


def run_train(arguments: list[str]) -> None:
    """Run ``shopsight bench train`` with the words that follow it."""
    parser = _parser(
        "train",
        "Training steps, forward, backward and optimizer, on the same batches: the plain way"
        " (padded, unsplit, every photo encoded for every use, all words as labels) and ours.",
    )
    parser.add_argument("--batch", type=int, default=64, help="clicked pairs in a batch")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of ours; one is plain")
    given = parser.read(arguments)
    with tempfile.TemporaryDirectory(prefix="shopsight-bench-") as folder:
        world = BenchData(Path(folder), _size(given), 600, 1200, given.seed)
        rate = _matrix_rate(given)
        _print(list(_train(world, given, rate)), given, rate)


def run_rank(arguments: list[str]) -> None:
    """Run ``shopsight bench rank`` with the words that follow it."""
    parser = _parser(
        "rank",
        "Ranking a split like the competition's valid: the plain way (every pair encoded anew;"
        f" timed on {_NAIVE_PAIRS} pairs) and ours (each product and query once), with reading.",
    )
    parser.add_argument("--queries", type=int, default=500, help="queries of the split")
    parser.add_argument("--products", type=int, default=2500, help="distinct candidates")
    parser.add_argument("--pool", type=int, default=30, help="candidates a query")
    given = parser.read(arguments)
    with tempfile.TemporaryDirectory(prefix="shopsight-bench-") as folder:
        world = BenchData(Path(folder), _size(given), given.products, given.queries, given.seed)
        rate = _matrix_rate(given)
        _print(list(_rank(world, given, rate)), given, rate)


def _parser(command: str, summary: str) -> Parser:
    examples = [
        f"bench {command}",
        f"bench {command} --precision bf16",
        f"bench {command} --size small --json",
    ]
    parser = Parser(f"bench {command}", summary, examples)
    parser.add_argument("--size", choices=("paper", "small"), default="paper", help="of the models")
    parser.add_argument(
        "--precision", choices=("float32", "bf16"), default="float32", help="of ours"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_json()
    return parser


def _size(given: Any) -> Size:
    return PAPER if given.size == "paper" else SMALL


def _train(world: BenchData, given: Any, rate: float) -> Iterator[Pace]:
    device = torch.device(given.device)
    pretrain, word, sentence = world.models()
    ignored = torch.tensor([world.vocabulary.unk])
    tasks: list[Task] = [
        LabelMatchTask(pretrain, LabelMatchConfig()),
        WordMatchTask(word, WordMatchConfig(), DistributedContext(), ignored),
        SentenceMatchTask(sentence, SentenceMatchConfig()),
    ]
    plain: list[Callable[[PairBatch], Tensor]] = [
        lambda batch: _plain_pretrain(pretrain, batch),
        lambda batch: reference_models.word_match_loss(
            word, *_plain(batch), margin=WordMatchConfig.margin
        ),
        lambda batch: reference_models.sentence_match_loss(sentence, *_plain(batch)),
    ]
    for name, task, naive_loss in zip(_NAMES, tasks, plain, strict=True):
        task.to(device)
        loader = _loader(task, world, given)
        config = TrainConfig(precision=given.precision)
        optimizer = make_optimizer(task.parameter_groups(config), config)
        slow = _step_seconds(loader.read(0, 0), naive_loss, optimizer, given, "float32")
        if not isinstance(task, LabelMatchTask):  # its trunk is a constant: ours reads what it gave
            loader = _through_trunk(loader, name, task, world)
        count = FlopCounterMode(display=False)
        with count:  # also warms up
            _step_seconds(loader.read(0, 0), _total(task), optimizer, given, given.precision)
        with closing(loader.epoch(0)) as batches:
            quick, waited = _timed_steps(batches, _total(task), optimizer, given)
        yield Pace(
            name,
            given.batch / slow,
            given.batch / quick,
            slow / quick,
            count.get_total_flops() / quick / rate,
            waited / quick / given.steps,
        )


def _timed_steps(
    batches: Iterator[PairBatch], loss: Callable[[PairBatch], Tensor], optimizer: Any, given: Any
) -> tuple[float, float]:
    """Mean seconds of a step, waiting included, and all seconds of waiting."""
    taken = waited = 0.0
    for _ in range(given.steps):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        taken += _step_seconds(batch, loss, optimizer, given, given.precision)
    return (taken + waited) / given.steps, waited


def _step_seconds(
    batch: PairBatch,
    loss: Callable[[PairBatch], Tensor],
    optimizer: Any,
    given: Any,
    precision: str,
) -> float:
    device = torch.device(given.device)
    started = time.perf_counter()
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        value = loss(batch.to(device))
    optimizer.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    _finish(device)
    return time.perf_counter() - started


def _total(task: Task) -> Callable[[PairBatch], Tensor]:
    return lambda batch: torch.stack(list(task.losses(batch).values())).sum()


def _plain(batch: PairBatch) -> tuple[Regions, Regions, Tokens, Tokens]:
    """Clicked regions, other regions, queries, other queries: each product for each use."""
    assert batch.negative_product_idx is not None
    assert batch.negative_queries is not None
    clicked = batch.regions.take(batch.product_idx)
    others = batch.regions.take(batch.negative_product_idx)
    return clicked, others, batch.queries, batch.negative_queries


def _plain_pretrain(model: LabelMatch, batch: PairBatch) -> Tensor:
    regions = batch.regions.take(batch.product_idx)
    hardest = LabelMatchConfig.hardest_negatives
    labels, caption = reference_models.label_match_loss(model, regions, batch.queries, hardest)
    return labels + caption


def _loader(task: Task, world: BenchData, given: Any) -> Loader:
    pairs = world.pairs()
    negatives = None
    if not isinstance(task, LabelMatchTask):
        negatives = pairs.sampler("random", NegativesConfig())
    return Loader(pairs, world.store, given.batch, given.seed, negatives)


def _through_trunk(loader: Loader, name: str, task: Task, world: BenchData) -> Loader:
    encoder = task.model.encoder
    assert isinstance(encoder, ImageEncoder)
    encoder.eval()
    device = next(encoder.parameters()).device
    store, trunk = world.store, encoder.through_trunk
    cached = TrunkCache.build(store.folder, store, trunk, name, device)
    encoder.train()
    return replace(loader, source=cached, through_trunk=True)


def _rank(world: BenchData, given: Any, rate: float) -> Iterator[Pace]:
    device = torch.device(given.device)
    ids = np.array(world.store.product_ids, object)
    pools = Pools.from_dict(
        {
            str(query): world.rng.choice(ids, min(given.pool, len(ids)), replace=False).tolist()
            for query in range(given.queries)
        }
    )
    plain: tuple[Callable[..., Tensor], ...] = (
        _plain_label_match, reference_models.word_match, reference_models.sentence_match
    )  # fmt: skip
    models: tuple[Any, ...] = world.models()
    for name, model, slow_way in zip(_NAMES, models, plain, strict=True):
        model.eval().to(device)
        slow = _plain_ranking_seconds(world, model, slow_way, pools, device)
        sources: dict[str, RegionStore] = {name: world.store}
        if name != PRETRAINING:  # training has left what the trunk gives for every product
            key, trunk = name, model.encoder.through_trunk
            kept = TrunkCache.build(world.store.folder, world.store, trunk, key, device)
            sources[f"{name}, trunk kept"] = kept
        for what, source in sources.items():
            taken, operations = _ranking_seconds(world, model, pools, source, given)
            pairs = len(pools.product_ids)
            share = operations / taken / rate
            yield Pace(what, 1 / slow, pairs / taken, slow * pairs / taken, share, 0.0)


def _ranking_seconds(
    world: BenchData, model: Any, pools: Pools, source: RegionStore, given: Any
) -> tuple[float, int]:
    """Seconds to rank all pools, reading included, and the operations of matrix products."""
    device, texts = torch.device(given.device), {str(i): one for i, one in enumerate(world.texts)}
    count, low = FlopCounterMode(display=False), given.precision == "bf16"
    with count, torch.autocast(device.type, torch.bfloat16, enabled=low):
        started = time.perf_counter()
        encoded = encode(model, world.store, world.vocabulary, pools, texts, source, device)
        with torch.inference_mode():
            encoded.scores(model)
        _finish(device)
        return time.perf_counter() - started, count.get_total_flops()


def _plain_ranking_seconds(
    world: BenchData, model: Any, score: Callable[..., Tensor], pools: Pools, device: torch.device
) -> float:
    """Seconds a pair, every pair read and encoded anew."""
    count = min(_NAIVE_PAIRS, len(pools.product_ids))
    started = time.perf_counter()
    with torch.inference_mode():
        at = world.store.index_of(pools.product_ids[:count].tolist())
        lists = world.vocabulary.encode([world.texts[i] for i in pools.query_idx[:count]])
        tokens = pad_tokens(lists, world.vocabulary.pad).to(device)
        regions = as_regions(world.store.read(at)).to(device)
        score(model, regions, tokens)
    _finish(device)
    return (time.perf_counter() - started) / count


def _plain_label_match(model: LabelMatch, regions: Regions, tokens: Tokens) -> Tensor:
    logits = reference_models.label_logits(model, regions)  # (B, V) of the whole vocabulary
    found = torch.nn.functional.logsigmoid(logits).gather(1, tokens.ids)
    scores: Tensor = found.masked_fill(~tokens.mask, 0).sum(1) / tokens.lengths
    return scores


def _matrix_rate(given: Any) -> float:
    """Operations a second of a large matrix product in the chosen number format."""
    kind = torch.bfloat16 if given.precision == "bf16" else torch.float32
    device = torch.device(given.device)
    left, right = (torch.randn(_MATRIX, _MATRIX, device=device).to(kind) for _ in range(2))
    best = 0.0
    for _ in range(_REPEATS):
        started = time.perf_counter()
        left @ right
        _finish(device)
        best = max(best, 2 * _MATRIX**3 / (time.perf_counter() - started))
    return best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _print(paces: list[Pace], given: Any, rate: float) -> None:
    if given.json:
        print_json({"matrix_rate": rate, "lines": paces})
        return
    rows = tuple(
        (
            one.what,
            f"{one.plain:,.1f}",
            f"{one.ours:,.1f}",
            f"{one.ratio:,.0f} ×",
            f"{one.share:.0%}",
            f"{one.waiting:.0%}",
        )
        for one in paces
    )
    note = (
        f"Pairs a second. This machine multiplies matrices at {rate / 1e9:,.0f} billion operations"
        f" a second in {given.precision} ({torch.get_num_threads()} threads)."
    )
    columns = ("", "plain", "ours", "ratio", "of matrix rate", "waiting for data")
    print_grid(Grid(columns, rows, note))
