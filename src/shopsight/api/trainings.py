"""Comparison of trained run folders: settings, data, scores, and the queries that changed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from shopsight.api.data import PreparedData, load
from shopsight.api.evaluation import METRICS, compare
from shopsight.api.runs import QrelsLike, Run, as_qrels, read_run
from shopsight.api.settings import build_settings, settings_of, takes
from shopsight.config import CompareConfig, EvaluateConfig
from shopsight.data.split_names import VALID
from shopsight.errors import DataError, UsageError, unknown_name
from shopsight.inference.ensemble import ENSEMBLE
from shopsight.inference.run_folder import RUN_FILE, RunFolder, flattened
from shopsight.metrics.evaluate import Estimate, bootstrap_interval
from shopsight.metrics.significance import Comparison
from shopsight.models.registry import model_names
from shopsight.tables import Grid, Tabular, html_table, photo_uri
from shopsight.types import Qrels

_QUERIES, _PRODUCTS = 20, 5  # shown
_MISSING = "–"


@dataclass(frozen=True)
class Delta:
    """The scores of a run folder beside those of the first: of one model, under one metric.

    ``p`` is corrected for the number of folders; wins, ties and losses count queries.
    """

    folder: str
    model: str
    metric: str
    first: float
    mean: float
    delta: Estimate
    p: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class ChangedQuery:
    """A query with its value under the first metric in each folder, and their best products."""

    query_id: str
    text: str
    values: tuple[float, ...]
    products: tuple[tuple[str, ...], ...]
    relevant: tuple[str, ...]

    @property
    def change(self) -> float:
        """The largest difference to the first folder, with its sign."""
        return max((value - self.values[0] for value in self.values[1:]), key=abs)


@dataclass(frozen=True, repr=False)
class TrainingComparison(Tabular):
    """Run folders beside the first of them; ``settings`` maps the keys that differ to values."""

    names: tuple[str, ...]
    settings: Mapping[str, tuple[Any, ...]]
    comparison: Comparison
    deltas: tuple[Delta, ...]
    models: tuple[Delta, ...]
    changed: tuple[ChangedQuery, ...]
    note: str
    data: PreparedData | None = None

    def grids(self) -> list[Grid]:
        """What differs; differences by metric and by model; the queries that changed most."""
        first, metric = self.names[0], next(iter(self.comparison.adjusted))
        settings = [(key, *map(_text, values)) for key, values in self.settings.items()]
        alike = "" if settings else "The recipes and the data are the same."
        columns = (
            "metric",
            "run",
            "mean",
            f"of {first}",
            "difference",
            "interval",
            "p",
            "won/tied/lost",
        )
        by_model = [(d.model, d.folder, *_delta_cells(d)[2:]) for d in self.models]
        queries = [
            (f"{query.query_id}  {query.text}".rstrip(), *(f"{v:.4f}" for v in query.values))
            for query in self.changed
        ]
        return [
            Grid(("setting", *self.names), tuple(settings), alike),
            Grid(columns, tuple(map(_delta_cells, self.deltas)), self.note),
            Grid(("model", *columns[1:]), tuple(by_model), f"{metric} of every common model."),
            Grid((f"largest changes, {metric}", *self.names), tuple(queries)),
        ]

    def records(self) -> list[dict[str, Any]]:
        """A row per folder, model and metric: means, difference, interval, p, won, tied, lost."""
        return [
            {
                "run": d.folder, "model": d.model, "metric": d.metric, "first": d.first,
                "mean": d.mean, "difference": d.delta.mean, "low": d.delta.low,
                "high": d.delta.high, "p": d.p, "won": d.wins, "tied": d.ties, "lost": d.losses,
            }
            for d in (*self.deltas, *self.models)
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Names, settings that differ, differences of metrics and models, changed queries."""
        return {
            "runs": list(self.names),
            "settings": {key: list(values) for key, values in self.settings.items()},
            "scores": self.comparison.to_dict(),
            "differences": self.records(),
            "queries": [{**vars(query), "change": query.change} for query in self.changed],
            "note": self.note,
        }

    def to_html(self) -> str:
        """A page with all tables, and both rankings of the changed queries side by side."""
        parts = [html_table(grid) for grid in self.grids()]
        for query in self.changed:
            rows = [
                tuple(row) for row in zip(*map(self._marked(query), query.products), strict=True)
            ]
            heads = tuple(f"{n} ({v:.4f})" for n, v in zip(self.names, query.values, strict=True))
            cells = "".join(
                f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows
            )
            head = "".join(f"<th>{escape(text)}</th>" for text in heads)
            title = escape(f"{query.text or query.query_id} ({query.change:+.4f})")
            parts.append(f"<h2>{title}</h2><table><tr>{head}</tr>{cells}</table>")
        title = escape(" / ".join(self.names))
        return _PAGE.format(title=title, body="\n".join(parts))

    def _marked(self, query: ChangedQuery) -> Any:
        """Products as cells: photo, and id in bold if relevant."""

        def cells(products: Sequence[str]) -> list[str]:
            shown = [
                f"{self._photo(p)}{'<b>' if p in query.relevant else ''}{escape(p)}"
                f"{' ✓</b>' if p in query.relevant else ''}"
                for p in products
            ]
            return shown + [""] * (_PRODUCTS - len(shown))

        return cells

    def _photo(self, product: str) -> str:
        photos = self.data.photos if self.data else None
        if self.data is None or photos is None:
            return ""
        jpeg = photos.jpeg(int(self.data.store.index_of([product])[0]))
        if jpeg is None:
            return ""
        return f'<img src="{photo_uri(jpeg)}" height="96"><br>'

    def __repr__(self) -> str:
        return f"TrainingComparison({', '.join(self.names)})"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body {{ font: 15px system-ui, sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }}
td, th {{ padding: .3em .8em; text-align: left; vertical-align: top; border-top: 1px solid #ddd; }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def is_run_folder(path: object) -> bool:
    """Whether a path is a run folder, as opposed to a ranking."""
    return isinstance(path, str | Path) and (Path(path) / RUN_FILE).is_file()


@takes(EvaluateConfig, CompareConfig)
def compare_trainings(
    runs: Sequence[str | Path],
    answers: QrelsLike | None = None,
    metrics: Sequence[str] | str = METRICS,
    split: str = VALID,
    model: str = ENSEMBLE,
    seed: int = 0,
    **settings: Any,
) -> TrainingComparison:
    """Compare run folders: settings, data, scores, and the queries that changed most.

    Every folder is compared with the first, by the rankings that its training wrote.

    Args:
        runs: run folders.
        answers: relevance judgements; those of the training data by default.
        metrics: the first one orders the changed queries; see `evaluate`.
        split: split whose rankings are compared.
        model: model or ensemble; "ensemble" is the last model of a folder without one.
        settings: fields of `EvaluateConfig` and `CompareConfig`.

    Raises:
        UsageError: fewer than two folders, or an unknown model.
        DataError: a ranking, the training data or their judgements are missing.
    """
    kinds = settings_of(compare_trainings)
    evaluation, _ = build_settings({**settings, "metrics": metrics}, *kinds)
    if len(runs) < 2:
        raise UsageError("a comparison needs at least two runs")
    folders, names = [RunFolder.read(path) for path in runs], _names(runs)
    data = _common_data(folders)
    if answers is None:
        if data is None:
            raise DataError(
                f"{runs[0]}: its data ({folders[0].manifest['data']}) are not there, or the runs"
                " were validated on other queries; give --answers"
            )
        answers = data.qrels(split)
    qrels, how = as_qrels(answers), {"metrics": metrics, "seed": seed, **settings}
    rankings = [_ranking(f, split, model, n) for f, n in zip(folders, names, strict=True)]
    comparison = compare(rankings, qrels, **how)
    common = [
        name for name in model_names() if all(f.ranking(split, name).is_file() for f in folders)
    ]
    by_model: list[Delta] = []
    for name in common:
        single = [_ranking(f, split, name, n) for f, n in zip(folders, names, strict=True)]
        compared = compare(single, qrels, **{**how, "metrics": evaluation.metrics[0]})
        by_model += _deltas(compared, name, evaluation, seed)
    fitted = model == ENSEMBLE and split == VALID
    note = f"{split}, {model}: differences to {names[0]}."
    note += " The weights of an ensemble were fitted to these queries." if fitted else ""
    return TrainingComparison(
        tuple(names),
        _differences(folders),
        comparison,
        tuple(_deltas(comparison, model, evaluation, seed)),
        tuple(by_model),
        _changed(comparison, rankings, qrels, data, split),
        note,
        data,
    )


def _deltas(comparison: Comparison, model: str, config: EvaluateConfig, seed: int) -> list[Delta]:
    first, *others = comparison.evaluations
    deltas = []
    for metric, adjusted in comparison.adjusted.items():
        for i, other in enumerate(others, start=1):
            difference = other.per_query[metric] - first.per_query[metric]
            low, high = bootstrap_interval(difference, config, seed)
            deltas.append(
                Delta(
                    other.name, model, metric, first[metric], other[metric],
                    Estimate(float(difference.mean()), low, high, len(difference)),
                    float(adjusted[0, i]),
                    int((difference > 0).sum()), int((difference == 0).sum()),
                    int((difference < 0).sum()),
                )
            )  # fmt: skip
    return deltas


def _changed(
    comparison: Comparison,
    rankings: Sequence[Run],
    qrels: Qrels,
    data: PreparedData | None,
    split: str,
) -> tuple[ChangedQuery, ...]:
    """The queries whose value changed most, largest change first."""
    metric = next(iter(comparison.adjusted))
    values = np.stack([evaluation.per_query[metric] for evaluation in comparison.evaluations])
    largest = np.abs(values[1:] - values[0]).max(axis=0)
    texts: dict[str, str] = {}
    if data is not None:
        queries = data.queries(split)
        texts = dict(zip(queries.ids, queries.texts, strict=True))
    tops = [
        {query: list(scores)[:_PRODUCTS] for query, scores in run.to_dict().items()}
        for run in rankings
    ]
    chosen = [int(i) for i in np.argsort(-largest, kind="stable")[:_QUERIES] if largest[i] > 0]
    ids = comparison.evaluations[0].query_ids
    return tuple(
        ChangedQuery(
            ids[i],
            texts.get(ids[i], ""),
            tuple(values[:, i].tolist()),
            tuple(tuple(top.get(ids[i], ())) for top in tops),
            tuple(p for p, grade in qrels.relevance[ids[i]].items() if grade > 0),
        )
        for i in chosen
    )


def _differences(folders: Sequence[RunFolder]) -> dict[str, tuple[Any, ...]]:
    """Settings of the recipes that differ, and the parts of the data, by key."""
    tables = [dict(flattened(folder.manifest["recipe"])) for folder in folders]
    for table, folder in zip(tables, folders, strict=True):
        table["feature_width"] = folder.manifest["feature_width"]
        table |= {f"data: {name}": digest[:12] for name, digest in folder.manifest["files"].items()}
        table["shopsight"] = folder.manifest["shopsight"]
    keys = dict.fromkeys(key for table in tables for key in table)
    values = {key: tuple(table.get(key) for table in tables) for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def _common_data(folders: Sequence[RunFolder]) -> PreparedData | None:
    """The training data of the first folder that is still there, if all have its judgements."""
    answers = f"answers-{VALID}.json"
    if len({folder.manifest["files"].get(answers) for folder in folders}) > 1:
        return None
    for folder in folders:
        if (Path(folder.manifest["data"]) / "data.json").is_file():
            data = load(folder.manifest["data"])
            digest = data.manifest["files"].get(answers, {}).get("sha256")
            if digest == folder.manifest["files"].get(answers):
                return data
    return None


def _ranking(folder: RunFolder, split: str, model: str, name: str) -> Run:
    path = folder.ranking(split, model)
    if model == ENSEMBLE and not path.is_file():
        path = folder.ranking(split, (folder.trained or [model])[-1])
    if not path.is_file():
        known = [p.stem.removeprefix(f"{split}-") for p in path.parent.glob(f"{split}-*.json")]
        if known:
            raise unknown_name(f"model of {folder.path}", model, sorted(known))
        raise DataError(f"{folder.path}: no rankings of split '{split}'; finish it with --resume")
    return read_run(path, name)


def _names(paths: Sequence[str | Path]) -> list[str]:
    """The folders' names, or their paths if names repeat."""
    names = [Path(path).resolve().name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _delta_cells(d: Delta) -> tuple[str, ...]:
    interval = f"[{d.delta.low:+.4f}, {d.delta.high:+.4f}]"
    means = (f"{d.mean:.4f}", f"{d.first:.4f}", f"{d.delta.mean:+.4f}", interval)
    return (d.metric, d.folder, *means, f"{d.p:.4f}", f"{d.wins}/{d.ties}/{d.losses}")


def _text(value: Any) -> str:
    return _MISSING if value is None else str(value)
