"""Match shoppers' queries to product photos, and search a catalogue with them.

``import shopsight as ss`` offers the names in `__all__`. Each is imported when it is first used:
evaluation needs numpy only, and torch is loaded by what trains, ranks or searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shopsight.api.data import PreparedData, load, prepare_kddcup, prepare_photos
    from shopsight.api.evaluation import audit, compare, evaluate, fuse, rerank, submit
    from shopsight.api.info import info
    from shopsight.api.ranker import Ranker, open_ranker
    from shopsight.api.runs import Qrels, Run, read_qrels, read_run
    from shopsight.api.search import Index, open_index
    from shopsight.api.training import train
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
    "evaluate",
    "fuse",
    "info",
    "load",
    "open_index",
    "open_ranker",
    "prepare_kddcup",
    "prepare_photos",
    "read_qrels",
    "read_run",
    "rerank",
    "submit",
    "train",
]

_MODULES = {
    "api.data": ("PreparedData", "load", "prepare_kddcup", "prepare_photos"),
    "api.evaluation": ("audit", "compare", "evaluate", "fuse", "rerank", "submit"),
    "api.info": ("info",),
    "api.ranker": ("Ranker", "open_ranker"),
    "api.runs": ("Qrels", "Run", "read_qrels", "read_run"),
    "api.search": ("Index", "open_index"),
    "api.training": ("train",),
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
