"""``shopsight serve`` as a process, with a real index."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, quote_from_bytes

import pytest

from http_requests import EASY, send_all
from shopsight.bench import serve as bench_serve
from shopsight.cli.main import main
from shopsight.data.dataset import PreparedData
from shopsight.search.searcher import Searcher
from shopsight.web.app import create_app

COMMAND = [sys.executable, "-m", "shopsight", "serve"]


@contextmanager
def serving(index: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [*COMMAND, str(index), "--port", "0", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert " products at http://127.0.0.1:" in line
        yield line.split(" at ")[1].split()[0], process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.loads(answer.read())


def test_served_results_equal_those_of_the_searcher(index: Path, shop_data: PreparedData) -> None:
    searcher = Searcher.open(index)
    queries = shop_data.queries("train").texts[:5]
    with serving(index) as (address, process):
        for query in queries:
            served = get(f"{address}/search?q={quote(query)}&k=7&explain=true")
            expected = searcher.search(query, 7, explain=True).to_dict()
            assert [hit["product_id"] for hit in served["hits"]] == [
                hit["product_id"] for hit in expected["hits"]
            ]
            assert served["hits"][0]["score"] == pytest.approx(
                expected["hits"][0]["score"], abs=1e-4
            )
            assert set(served["hits"][0]["explanation"]) == {"words", "boxes"}
        first = served["hits"][0]["product_id"]
        assert get(f"{address}/products/{first}")["fields"] == searcher.product(first).fields
        similar = get(f"{address}/products/{first}/similar?k=3")
        assert [hit["product_id"] for hit in similar["hits"]] == [
            hit.product_id for hit in searcher.similar(first, 3).hits
        ]
        with urllib.request.urlopen(f"{address}/products/{first}/photo", timeout=60) as photo:
            assert photo.read() == searcher.photo(first)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output, errors) == (0, "stopped\n", "")
    searcher.close()


def test_sigterm_completes_requests_in_progress(index: Path) -> None:
    with serving(index, "--batch-wait", "0.7", "--log", str(index.parent / "log")) as served:
        address, process = served
        answers: list[Any] = []
        client = threading.Thread(target=lambda: answers.append(get(f"{address}/search?q=red")))
        client.start()
        while not answers and client.is_alive():  # until the server has the request
            if "shopsight_queries_waiting 1.0" in _metrics(address):
                break
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        client.join(60)
        assert (process.returncode, errors) == (0, "")
        assert answers[0]["hits"]
    assert '"query": "red"' in (index.parent / "log").read_text()


def _metrics(address: str) -> str:
    try:
        with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:
            return str(answer.read())
    except OSError:
        return ""


def test_a_token_is_required(index: Path, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-token-of-some-length\n")
    with serving(index, "--token-file", str(path)) as (address, _):
        assert get(f"{address}/health")["status"] == "ok"
        with pytest.raises(HTTPError) as rejected:
            get(f"{address}/search?q=red")
        assert rejected.value.code == 401
        rejected.value.close()


def test_a_port_in_use(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", str(index), "--port", str(port)]) == 2
    message = f"127.0.0.1:{port} is in use; choose another --port (0: any free)"
    assert capsys.readouterr().err == f"shopsight: {message}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "0"], "--threads must be at least 1"),
        (["--k-max", "0"], "k_max must be at least 1, not 0"),
        (["--port", "http"], "--port must be a whole number, not 'http'"),
        (["--token-file", "nowhere"], "nowhere: no such file or directory"),
        (["--host", "no.such.name.invalid", "--port", "0"], "--host no.such.name.invalid: no such"),
        (["--host", "203.0.113.7", "--token-file", "TOKEN"], "cannot listen on 203.0.113.7:8000"),
    ],
)
def test_invalid_arguments(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    token = tmp_path / "token"
    token.write_text("a-token-of-some-length")
    argv = [str(token) if argument == "TOKEN" else argument for argument in arguments]
    assert main(["serve", str(index), *argv]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path), "--port", "0"]) == 2
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert str(tmp_path) in output


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    output = capsys.readouterr().out
    assert "shopsight serve index --port 9000 --token-file token.txt" in output
    assert "--photo-bytes" in output


def test_random_bytes_to_the_real_models(index: Path) -> None:
    searcher, rng = Searcher.open(index), Random(3)
    texts = [rng.randbytes(rng.randrange(1, 50)) for _ in range(300)]
    texts += [b"\xed\xa0\x80", b"\x00", "\u202e\U0001f457".encode(), b" " * 400, b"a" * 500]
    requests = [
        ("/search", b"k=2&explain=1&q=" + quote_from_bytes(text).encode()) for text in texts
    ]
    answers = send_all(create_app(searcher, EASY), requests)
    assert {status for status, _, _ in answers} == {200}
    assert not any(str(index.parent).encode() in body for _, _, body in answers)
    searcher.close()


def test_the_benchmark_measures_a_server(
    index: Path, shop_data: PreparedData, capsys: pytest.CaptureFixture[str]
) -> None:
    bench_serve.run(
        [str(index), "--clients", "4", "--seconds", "1", "--data", str(shop_data.path), "--json"]
    )
    figures = json.loads(capsys.readouterr().out)
    assert figures["errors"] == 0
    assert figures["answers"] > 0
    assert 0 < figures["p50 (ms)"] <= figures["p99 (ms)"] <= figures["longest (ms)"]
    assert figures["memory, last quarter (MB)"] > 50
    assert main(["bench", "serve", str(index.parent / "none")]) == 2
    assert "none" in capsys.readouterr().err
