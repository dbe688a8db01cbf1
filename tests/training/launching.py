"""Starting a training script in one process or, by torchrun, in several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def launch(script: Path, processes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    how = torchrun if processes > 1 else []
    paths = [str(script.parents[1]), *sys.path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(
        [sys.executable, *how, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=400,
    )
