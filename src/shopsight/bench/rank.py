"""``shopsight bench rank``: ranking of a split, beside the unoptimised reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from shopsight.batches.batch import Regions, Tokens, as_regions, pad_tokens
from shopsight.bench import reference_models
from shopsight.bench.fixtures import BenchData
from shopsight.bench.measure import timed
from shopsight.bench.pace import Pace, pace_parser, run_paces
from shopsight.data.region_store import RegionStore
from shopsight.inference.encode import score_pools
from shopsight.inference.trunk_cache import TrunkCache
from shopsight.models.label_match import LabelMatch
from shopsight.models.registry import PRETRAINING, model_specs
from shopsight.types import Pools

_REFERENCE_PAIRS = 64

Score = Callable[[Any, Regions, Tokens], Tensor]


def run(argv: list[str]) -> None:
    """Run ``shopsight bench rank``."""
    parser = pace_parser(
        "rank",
        "Ranking of a split like the competition's valid: an unoptimised reference (each pair"
        f" encoded anew; timed on {_REFERENCE_PAIRS} pairs) and ours (each product and query once),"
        " including reading.",
    )
    parser.add_argument("--queries", type=int, default=500, help="queries of the split")
    parser.add_argument("--products", type=int, default=2500, help="distinct candidates")
    parser.add_argument("--pool", type=int, default=30, help="candidates per query")
    args = parser.read(argv)
    run_paces(_measure, args, args.products, args.queries)


def _measure(data: BenchData, args: Any, matrix_rate: float) -> Iterator[Pace]:
    device = torch.device(args.device)
    ids = np.array(data.store.product_ids, object)
    size = min(args.pool, len(ids))
    pools = Pools.from_dict(
        {str(i): data.rng.choice(ids, size, replace=False).tolist() for i in range(args.queries)}
    )
    pairs = len(pools.product_ids)
    names = [spec.name for spec in model_specs() if spec.uses_trunk]
    references: tuple[Score, ...] = (_reference_label_match, *reference_models.PAIR_SCORES)
    for name, model, reference in zip(names, data.models(), references, strict=True):
        model.eval().to(device)
        slow = _reference_seconds(data, model, reference, pools, device)
        sources: dict[str, RegionStore] = {name: data.store}
        if name != PRETRAINING:  # training leaves a cache of the frozen trunk
            trunk = model.encoder.through_trunk
            cache = TrunkCache.build(data.store.folder, data.store, trunk, name, device)
            sources[f"{name}, trunk kept"] = cache
        for line, source in sources.items():
            seconds, flops = _our_seconds(data, model, pools, source, args)
            pace = pairs / seconds
            yield Pace(line, 1 / slow, pace, slow * pace, flops / seconds / matrix_rate, 0.0)


def _our_seconds(
    data: BenchData, model: Any, pools: Pools, source: RegionStore, args: Any
) -> tuple[float, int]:
    """Seconds to rank all pools, including reading, and the FLOPs of matrix products."""
    device = torch.device(args.device)
    texts = {str(i): text for i, text in enumerate(data.texts)}
    counter, bf16 = FlopCounterMode(display=False), args.precision == "bf16"
    with counter, torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        score = partial(score_pools, model, data.store, data.vocabulary, pools, texts)
        _, seconds = timed(lambda: score(source, device), args.device)
    return seconds, counter.get_total_flops()


def _reference_seconds(
    data: BenchData, model: Any, score: Score, pools: Pools, device: torch.device
) -> float:
    """Seconds per pair, each pair read and encoded anew."""
    count = min(_REFERENCE_PAIRS, len(pools.product_ids))

    @torch.inference_mode()
    def rank() -> None:
        products = data.store.index_of(pools.product_ids[:count].tolist())
        ids = data.vocabulary.encode([data.texts[i] for i in pools.query_idx[:count]])
        tokens = pad_tokens(ids, data.vocabulary.pad).to(device)
        score(model, as_regions(data.store.read(products)).to(device), tokens)

    return timed(rank, device.type)[1] / count


def _reference_label_match(model: LabelMatch, regions: Regions, tokens: Tokens) -> Tensor:
    logits = reference_models.label_logits(model, regions)  # (B, V), the whole vocabulary
    likelihood = functional.logsigmoid(logits).gather(1, tokens.ids)  # (B, T)
    scores: Tensor = likelihood.masked_fill(~tokens.mask, 0).sum(1) / tokens.lengths
    return scores
