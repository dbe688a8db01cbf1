import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rawfile import HEADER, WIDTH, many_rows, raw_bytes
from shopsight.errors import ShopsightError
from shopsight.prepare.kddcup.line_reader import LineReader
from shopsight.prepare.kddcup.regions import RowRules
from shopsight.prepare.kddcup.stream import row_stream

RULES = RowRules(WIDTH, frozenset(range(33)))
CHUNK = 1 << 12


@pytest.fixture
def raw_file(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_bytes(raw_bytes([*many_rows(200, 60, 50), b"bad row", *many_rows(50, 90, 50)]))
    return path


def collect(path, workers, chunk_bytes=CHUNK):
    """Everything that the stream yields, copied, with one entry per row."""
    rows, errors, line = [], [], 1
    with row_stream(workers, chunk_bytes) as stream, LineReader(path) as reader:
        first = stream.first_chunk(reader)
        for parsed in stream.parse(reader, RULES, first, len(HEADER)):
            parsed.rows.shift_lines(line)
            line += parsed.rows.line_count
            chunk = parsed.rows
            ends = np.cumsum(chunk.region_counts)
            decoded = {
                int(row): chunk.features[end - count : end].copy()
                for row, end, count in zip(chunk.new, ends, chunk.region_counts, strict=True)
            }
            for i, number in enumerate(chunk.lines):
                rows.append(
                    (int(number), int(chunk.product_ids[i]), chunk.queries[i], decoded.get(i))
                )
            errors += [(error.line, error.kind) for error in chunk.errors]
    return rows, errors


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_rows_come_in_file_order_for_any_number_of_processes(raw_file, workers):
    expected = [*many_rows(200, 60, 50), None, *many_rows(50, 90, 50)]
    rows, errors = collect(raw_file, workers)
    assert errors == [(202, "columns")]
    assert [row[:3] for row in rows] == [
        (line, row.product_id, row.query) for line, row in enumerate(expected, 2) if row
    ]
    first_features = {}
    for _, product, _, features in rows:
        if features is not None:
            first_features.setdefault(product, features)
    expected_features = {row.product_id: row.features().astype("f2") for row in expected if row}
    assert first_features.keys() == expected_features.keys()
    for product, features in expected_features.items():
        np.testing.assert_array_equal(first_features[product], features)


def test_chunk_size_changes_nothing(raw_file):
    small, large = collect(raw_file, 1), collect(raw_file, 1, 1 << 20)
    assert [row[:3] for row in small[0]] == [row[:3] for row in large[0]]
    assert small[1] == large[1]


def test_a_killed_process_is_reported(raw_file):
    with row_stream(2, CHUNK) as stream, LineReader(raw_file) as reader:
        chunks = stream.parse(reader, RULES, stream.first_chunk(reader), len(HEADER))
        next(chunks)
        for pid in stream._pool._executor._processes:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ShopsightError, match="a worker process died"):
            list(chunks)


def test_an_error_in_a_process_is_raised(raw_file):
    with row_stream(2, CHUNK) as stream, LineReader(raw_file) as reader:
        first = stream.first_chunk(reader)
        with pytest.raises(AttributeError, match="feature_width"):
            list(stream.parse(reader, None, first, len(HEADER)))  # type: ignore[arg-type]


ORPHANS = """
import sys
from shopsight.prepare.kddcup.line_reader import LineReader
from shopsight.prepare.kddcup.regions import RowRules
from shopsight.prepare.kddcup.stream import row_stream
with row_stream(3) as stream, LineReader(sys.argv[1]) as reader:
    list(stream.parse(reader, RowRules(4, None)))
    print(*stream._pool._executor._processes, flush=True)
    sys.stdin.read()
"""


def test_processes_end_when_their_parent_is_killed(raw_file):
    command = [sys.executable, "-c", ORPHANS, str(raw_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(children) == 3
    deadline = time.monotonic() + 30
    while any(map(is_running, children)):
        assert time.monotonic() < deadline, "orphaned parsing processes"
        time.sleep(0.05)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
