"""How a stage learned, from the lines that training left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from shopsight.inference.run_folder import StageFolder
from shopsight.reports.charts import Series
from shopsight.reports.html import Learning

_PHASES = 9
_POINTS = 60


class _Phase(NamedTuple):
    """Lines of metrics, and how many epochs they span in how many steps."""

    records: list[dict[str, Any]]
    epochs: int
    steps: int
    outcome: dict[str, Any]


def learning_of(stage: StageFolder, metric: str) -> Learning | None:
    """Its curves; None where the stage is not finished or left no lines.

    Args:
        stage: its folder; phases inside it are laid end to end.
        metric: what the validation scores are.
    """
    phases = [phase for folder in _folders(stage) if (phase := _read(folder)) is not None]
    losses: dict[str, tuple[list[float], list[float]]] = {}
    scores: tuple[list[float], list[float]] = ([], [])
    before = 0
    for phase in phases:
        for record in phase.records:
            epoch = before + record["step"] / phase.steps * phase.epochs
            if record["kind"] == "valid":
                _add(scores, epoch, record["score"])
            else:
                _add(losses.setdefault("loss", ([], [])), epoch, record["loss"])
                for name, value in record["parts"].items() if len(record["parts"]) > 1 else ():
                    _add(losses.setdefault(name, ([], [])), epoch, value)
        before += phase.epochs
    if not losses:
        return None
    validation = (Series(metric, *scores),) if scores[0] else ()
    series = tuple(
        Series(name.replace("_", " "), *map(_thinned, points)) for name, points in losses.items()
    )
    return Learning(stage.name, _about(phases, metric), series, f"{metric} on valid", validation)


def _folders(stage: StageFolder) -> list[StageFolder]:
    """Earlier phases, which have folders of their own, then the stage's last or only one."""
    earlier = [stage.phase(number) for number in range(1, _PHASES + 1)]
    return [*(folder for folder in earlier if folder.path.is_dir()), stage]


def _read(folder: StageFolder) -> _Phase | None:
    outcome = folder.done()
    if outcome is None or not outcome["steps"]:
        return None
    return _Phase(folder.metrics(), outcome["epochs"], outcome["steps"], outcome)


def _thinned(values: list[float]) -> list[float]:
    """At most so many points: means of equally many neighbours.

    >>> _thinned([1.0, 3.0])
    [1.0, 3.0]
    """
    step = -(-len(values) // _POINTS)
    parts = [values[start : start + step] for start in range(0, len(values), step)]
    return [sum(part) / len(part) for part in parts]


def _add(points: tuple[list[float], list[float]], x: float, y: float) -> None:
    points[0].append(x)
    points[1].append(y)


def _about(phases: Sequence[_Phase], metric: str) -> str:
    said = []
    for phase in phases:
        one = phase.outcome
        best = f", best {metric} {one['best']:.4f}" if one["best"] is not None else ""
        when = f" after epoch {one['best_epoch']}" if best else ""
        said.append(
            f"{one['epochs']} epochs, {one['steps']:,} steps, {one['pairs_per_second']:,.0f} pairs"
            f" a second, {one['wait_fraction']:.0%} of the time waiting for data{best}{when}"
        )
    return "; then ".join(said) + "."
