"""The five-line script of the README, as a file, on a synthetic shop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shopsight.config import SyntheticShopConfig

SCRIPT = """\
import shopsight as ss

data = ss.prepare_photos("products.csv", text="title", clicks="clicks.csv", out="data")
ranker = ss.train(data, recipe="quick.yaml", out="run", threads=1)
run = ranker.rank(data, "valid")
print(ss.evaluate(run, data.qrels("valid"), ["ndcg@5", "map"]))
with ranker.build_index(data, "index") as index:
    print(index.search("red leather shoes", k=5, filters={"price": "..500"}))
"""


def test_script(tmp_path: Path, quick_recipe: Path) -> None:
    from shopsight.demo.shop import generate_shop

    generate_shop(tmp_path, SyntheticShopConfig(products=120, queries=120))
    (tmp_path / "quick.yaml").write_text(quick_recipe.read_text())
    # Without a __main__ guard: worker processes must not run the script again.
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["ndcg@5", "map"]
    assert sum(line[:1].isdigit() and " d0" in line for line in lines) == 5
