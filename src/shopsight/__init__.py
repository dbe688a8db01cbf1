"""Match shoppers' queries to product photos, and search a catalogue with them.

``import shopsight as ss`` offers the names in `__all__`. Each is imported when it is first used:
evaluation needs numpy only, and torch is loaded by what trains, ranks or searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shopsight.api.data import (
        PreparedData,
        group_queries,
        load,
        merge_shards,
        prepare_kddcup,
        prepare_photos,
        prepare_shard,
    )
    from shopsight.api.evaluation import audit, compare, evaluate, fuse, judge, rerank, submit
    from shopsight.api.info import info
    from shopsight.api.ranker import Ranker, open_ranker
    from shopsight.api.runs import Qrels, Run, read_qrels, read_run
    from shopsight.api.search import Index, open_index
    from shopsight.api.training import plan, train
    from shopsight.api.trainings import compare_trainings
    from shopsight.errors import ShopsightError

__version__ = "0.4.0"
__all__ = [
    "Index",
    "PreparedData",
    "Qrels",
    "Ranker",
    "Run",
    "ShopsightError",
    "__version__",
    "audit",
    "compare",
    "compare_trainings",
    "evaluate",
    "fuse",
    "group_queries",
    "info",
    "judge",
    "load",
    "merge_shards",
    "open_index",
    "open_ranker",
    "plan",
    "prepare_kddcup",
    "prepare_photos",
    "prepare_shard",
    "read_qrels",
    "read_run",
    "rerank",
    "submit",
    "train",
]

_MODULES = {
    "api.data": (
        "PreparedData",
        "group_queries",
        "load",
        "merge_shards",
        "prepare_kddcup",
        "prepare_photos",
        "prepare_shard",
    ),
    "api.evaluation": ("audit", "compare", "evaluate", "fuse", "judge", "rerank", "submit"),
    "api.info": ("info",),
    "api.ranker": ("Ranker", "open_ranker"),
    "api.runs": ("Qrels", "Run", "read_qrels", "read_run"),
    "api.search": ("Index", "open_index"),
    "api.training": ("plan", "train"),
    "api.trainings": ("compare_trainings",),
    "errors": ("ShopsightError",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'shopsight' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"shopsight.{_HOME[name]}"), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
