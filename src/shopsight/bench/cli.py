"""The command ``shopsight bench``: dispatches to one module per benchmark."""

from __future__ import annotations

from importlib import import_module

from shopsight.cli.argv import split_command
from shopsight.errors import unknown_name

_OVERVIEW = """usage: shopsight bench [data | train | rank | search | serve] ...

  data    preparation, region store, query groups, negatives
  train   training steps, beside an unoptimised reference
  rank    ranking of a split, beside an unoptimised reference
  search  recall, latency, size and memory of an index
  serve   throughput, latency, errors and memory of a server under load

shopsight bench train --help shows options and examples. Without a name, all of
them run but serve, which needs an index."""
_BENCHMARKS = ("data", "train", "rank", "search", "serve")


def run(command: str, argv: list[str]) -> None:  # noqa: ARG001
    """Run ``shopsight bench``."""
    if not argv:
        for name in _BENCHMARKS[:-1]:
            _run(name, [])
        return
    name, rest = split_command(argv)
    if name in ("-h", "--help"):
        print(_OVERVIEW)
    elif name in _BENCHMARKS:
        _run(name, rest)
    else:
        raise unknown_name("benchmark", name, list(_BENCHMARKS))


def _run(name: str, argv: list[str]) -> None:
    # Imported on demand: train and search load torch and faiss, which data does not need.
    import_module(f"shopsight.bench.{name}").run(argv)
