"""Commands on runs do not import heavy packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["torch", "sklearn", "pyarrow", "scipy", "tokenizers", "transformers"]
SCRIPT = f"""
import sys
from shopsight.cli.main import main
code = main(sys.argv[1:])
loaded = [name for name in {HEAVY} if name in sys.modules]
sys.exit(f"{{code}} {{loaded}}" if code or loaded else 0)
"""


@pytest.mark.parametrize(
    "command",
    [
        "evaluate run.json --answers answers.json",
        "evaluate run.json --answers answers.json --json",
        "compare run.json run.json --answers answers.json",
        "fuse run.json run.json --answers answers.json --out fused.json",
        "rerank run.json --exclusive --out reranked.json",
        "audit run.json --answers answers.json",
        "submit run.json --out submission.csv",
        "info run.json",
    ],
)
def test_imports_stay_light(tmp_path: Path, command: str) -> None:
    run = {str(q): {p: float(i) for i, p in enumerate("abcdef")} for q in range(4)}
    (tmp_path / "run.json").write_text(json.dumps(run))
    (tmp_path / "answers.json").write_text(json.dumps({str(q): ["a"] for q in range(4)}))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
