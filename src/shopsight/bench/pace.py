"""Pairs per second of the models, beside those of their unoptimised references."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shopsight.bench.fixtures import SIZES, BenchData
from shopsight.bench.measure import show, timed
from shopsight.cli.parser import Parser
from shopsight.tables import Grid

_MATRIX, _REPEATS = 2048, 12


@dataclass(frozen=True)
class Pace:
    """Pairs per second of a model and of its unoptimised reference."""

    name: str
    reference: float
    ours: float
    ratio: float
    utilisation: float  # fraction of the machine's matrix throughput; only products count as work
    waiting: float  # fraction of the time that ours waits for data


def pace_parser(command: str, summary: str) -> Parser:
    """Parser with the options that ``train`` and ``rank`` share."""
    examples = [f"bench {command}{options}" for options in ("", " --precision bf16", " --json")]
    parser = Parser(f"bench {command}", summary, examples)
    parser.add_argument("--size", choices=tuple(SIZES), default="paper", help="of the models")
    parser.add_argument(
        "--precision", choices=("float32", "bf16"), default="float32", help="of ours"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    return parser


def run_paces(
    measure: Callable[[BenchData, Any, float], Iterator[Pace]],
    args: Any,
    products: int,
    queries: int,
) -> None:
    """Measure on random data and print the lines.

    ``measure`` receives the data, the arguments and the matrix throughput in FLOP/s.
    """
    with tempfile.TemporaryDirectory(prefix="shopsight-bench-") as folder:
        data = BenchData(Path(folder), SIZES[args.size], products, queries, args.seed)
        rate = _matrix_throughput(args)
        paces = list(measure(data, args, rate))
    rows = tuple(
        (
            pace.name,
            f"{pace.reference:,.1f}",
            f"{pace.ours:,.1f}",
            f"{pace.ratio:,.0f} ×",
            f"{pace.utilisation:.0%}",
            f"{pace.waiting:.0%}",
        )
        for pace in paces
    )
    note = (
        f"Pairs per second. This machine multiplies matrices at {rate / 1e9:,.0f} billion"
        f" operations per second in {args.precision} ({torch.get_num_threads()} threads)."
    )
    columns = ("", "reference", "ours", "ratio", "of matrix rate", "waiting for data")
    show({"matrix_rate": rate, "lines": paces}, [Grid(columns, rows, note)], as_json=args.json)


def _matrix_throughput(args: Any) -> float:
    """FLOP/s of a large matrix product in the chosen precision, the best of several."""
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    left, right = (torch.randn(_MATRIX, _MATRIX, device=args.device).to(dtype) for _ in range(2))
    quickest = min(timed(lambda: left @ right, args.device)[1] for _ in range(_REPEATS))
    return 2.0 * _MATRIX**3 / quickest
