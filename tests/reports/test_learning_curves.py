"""Learning curves from the log of a stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shopsight.inference.run_folder import StageFolder
from shopsight.reports.learning_curves import learning_curves


def write_stage(folder: StageFolder, records: list[dict[str, Any]], **result: Any) -> None:
    folder.begin()
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder.path / "metrics.jsonl").write_text(lines)
    speed = {"pairs_per_second": 1234.5, "wait_fraction": 0.25}
    folder.finish({"epochs": 2, "best": None, "best_epoch": None, **speed, **result})


def train(step: int, loss: float, **parts: float) -> dict[str, Any]:
    return {"kind": "train", "step": step, "loss": loss, "parts": parts or {"hinge": loss}}


def test_phases_are_laid_end_to_end(tmp_path: Path) -> None:
    stage = StageFolder(tmp_path / "dual", "dual")
    stage.begin()
    write_stage(stage.phase(1), [train(5, 4.0), train(10, 2.0)], steps=10)
    records = [train(4, 1.0), {"kind": "valid", "step": 4, "score": 0.5}]
    write_stage(stage, records, steps=4, best=0.5, best_epoch=2)
    curves = learning_curves(stage, "ndcg@5")
    assert curves is not None
    assert [tuple(line) for line in curves.losses] == [("loss", [1.0, 2.0, 4.0], [4.0, 2.0, 1.0])]
    assert [tuple(line) for line in curves.validation] == [("ndcg@5", (4.0,), (0.5,))]
    first, second = curves.caption.split("; then ")
    assert first == "2 epochs, 10 steps, 1,234 pairs per second, 25% of the time waiting for data"
    assert second.endswith("waiting for data, best ndcg@5 0.5000 after epoch 2.")


def test_terms_of_a_loss_and_many_points(tmp_path: Path) -> None:
    stage = StageFolder(tmp_path / "word", "word")
    records = [train(i, 3.0, first_term=1.0, second=2.0) for i in range(1, 121)]
    write_stage(stage, records, steps=120)
    curves = learning_curves(stage, "ndcg@5")
    assert curves is not None
    assert [line.name for line in curves.losses] == ["loss", "first term", "second"]
    assert [len(line.y) for line in curves.losses] == [60] * 3
    assert curves.losses[1].y == [1.0] * 60
    assert curves.validation == ()


def test_an_unfinished_stage_has_no_curves(tmp_path: Path) -> None:
    stage = StageFolder(tmp_path / "dual", "dual")
    stage.begin()
    assert learning_curves(stage, "ndcg@5") is None
