"""Learning curves of a stage, from its metrics log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shopsight.inference.run_folder import StageFolder
from shopsight.reports.charts import Series

_MAX_PHASES = 9
_MAX_POINTS = 60


@dataclass(frozen=True)
class LearningCurves:
    """Learning curves of a stage over epochs; its phases are laid end to end."""

    stage: str
    caption: str  # epochs, steps, speed and best score
    losses: tuple[Series, ...]  # training loss and its terms
    metric: str  # label of ``validation``
    validation: tuple[Series, ...]  # empty if never evaluated


def learning_curves(stage: StageFolder, metric: str) -> LearningCurves | None:
    """Read the curves of a stage; None if it is unfinished or has an empty log."""
    losses: dict[str, list[tuple[float, float]]] = {}
    scores: list[tuple[float, float]] = []
    captions = []
    start = 0
    for folder in _phases(stage):
        result = folder.done()
        if result is None or not result["steps"]:
            continue
        for record in folder.metrics():
            epoch = start + record["step"] / result["steps"] * result["epochs"]
            if record["kind"] == "valid":
                scores.append((epoch, record["score"]))
                continue
            # A loss with a single term is that term: one line instead of two equal ones.
            terms = record["parts"] if len(record["parts"]) > 1 else {}
            for name, value in {"loss": record["loss"], **terms}.items():
                losses.setdefault(name, []).append((epoch, value))
        start += result["epochs"]
        captions.append(_caption(result, metric))
    if not losses:
        return None
    series = tuple(
        Series(name.replace("_", " "), *map(_thinned, zip(*points, strict=True)))
        for name, points in losses.items()
    )
    validation = (Series(metric, *zip(*scores, strict=True)),) if scores else ()
    caption = "; then ".join(captions) + "."
    return LearningCurves(stage.name, caption, series, f"{metric} on valid", validation)


def _phases(stage: StageFolder) -> list[StageFolder]:
    """Folders of the earlier phases, then the stage's own, which holds the last or only one."""
    earlier = [stage.phase(number) for number in range(1, _MAX_PHASES + 1)]
    return [*(folder for folder in earlier if folder.path.is_dir()), stage]


def _thinned(values: Sequence[float]) -> list[float]:
    """Means of consecutive groups, at most 60 of them.

    >>> _thinned([1.0, 3.0])
    [1.0, 3.0]
    """
    step = -(-len(values) // _MAX_POINTS)
    groups = [values[start : start + step] for start in range(0, len(values), step)]
    return [sum(group) / len(group) for group in groups]


def _caption(result: Mapping[str, Any], metric: str) -> str:
    best = ""
    if result["best"] is not None:
        best = f", best {metric} {result['best']:.4f} after epoch {result['best_epoch']}"
    return (
        f"{result['epochs']} epochs, {result['steps']:,} steps,"
        f" {result['pairs_per_second']:,.0f} pairs per second,"
        f" {result['wait_fraction']:.0%} of the time waiting for data{best}"
    )
