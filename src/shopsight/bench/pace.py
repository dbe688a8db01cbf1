"""Pairs per second of the models, beside those of their unoptimised references."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shopsight.bench.fixtures import SIZES, BenchData
from shopsight.cli.output import print_grid, print_json
from shopsight.cli.parser import Parser
from shopsight.tables import Grid

_MATRIX, _REPEATS = 2048, 12


@dataclass(frozen=True)
class Pace:
    """One line of the table.

    Attributes:
        name: stage or model.
        reference: pairs per second of the unoptimised reference.
        ours: pairs per second.
        ratio: ours / reference.
        utilisation: fraction of the machine's matrix throughput that ours reaches; only matrix
            products count as work.
        waiting: fraction of the time that ours waits for data.
    """

    name: str
    reference: float
    ours: float
    ratio: float
    utilisation: float
    waiting: float


def pace_parser(command: str, summary: str) -> Parser:
    """Parser with the options that ``train`` and ``rank`` share."""
    examples = [f"bench {command}{options}" for options in ("", " --precision bf16", " --json")]
    parser = Parser(f"bench {command}", summary, examples)
    parser.add_argument("--size", choices=tuple(SIZES), default="paper", help="of the models")
    parser.add_argument(
        "--precision", choices=("float32", "bf16"), default="float32", help="of ours"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_json()
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
    if args.json:
        print_json({"matrix_rate": rate, "lines": paces})
        return
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
    print_grid(Grid(columns, rows, note))


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _matrix_throughput(args: Any) -> float:
    """FLOP/s of a large matrix product in the chosen precision, the best of several."""
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    device = torch.device(args.device)
    left, right = (torch.randn(_MATRIX, _MATRIX, device=device).to(dtype) for _ in range(2))
    best = 0.0
    for _ in range(_REPEATS):
        started = time.perf_counter()
        left @ right
        synchronise(device)
        best = max(best, 2 * _MATRIX**3 / (time.perf_counter() - started))
    return best
