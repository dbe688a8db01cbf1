"""Structure of the code base: mirrored tests, distinct names, bounded parameter lists."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

# Modules without a test file of their own name, and the test file that covers them. A folder
# stands for its modules that have none. Keys are relative to src/shopsight, values to tests.
COVERED_BY = {
    "bench/": "bench/test_cli.py",
    "cli/catalog_tools.py": "cli/test_search.py",
    "cli/index.py": "cli/test_search.py",
    "cli/output.py": "cli/test_evaluate.py",
    "cli/parser.py": "cli/test_main.py",
    "cli/progress.py": "cli/test_prepare.py",
    "cli/serve.py": "search/test_serving.py",
    "cli/step_log.py": "cli/test_train.py",
    "config/": "test_config.py",
    "data/": "prepare/kddcup/test_ingest.py",
    "demo/baseline.py": "cli/test_demo.py",
    "demo/shop/": "demo/test_shop.py",
    "demo/world/": "demo/test_world.py",
    "formats/": "formats/test_runs.py",
    "inference/attention.py": "search/test_searcher.py",
    "inference/captioner.py": "cli/test_rank.py",
    "inference/evaluate.py": "cli/test_train.py",
    "inference/load.py": "training/test_session.py",
    "inference/ranker.py": "api/test_ranker.py",
    "models/": "models/test_image_encoder.py",
    "negatives/": "negatives/test_sampler.py",
    "prepare/": "prepare/photos/test_ingest.py",
    "prepare/kddcup/": "prepare/kddcup/test_ingest.py",
    "prepare/photos/": "prepare/photos/test_ingest.py",
    "regions/": "regions/test_hf_extractor.py",
    "reports/": "reports/test_html.py",
    "search/": "search/test_searcher.py",
    "search/retrievers/": "search/retrievers/test_faiss.py",
    "text/": "text/test_vocabulary.py",
    "training/": "training/test_session.py",
    "training/tasks/": "training/test_session.py",
    "web/": "web/test_api.py",
    "web/routes/": "web/test_api.py",
}

# Public classes that share a name, and why.
FRONT_DOOR = "the front door's is a subclass that reads files and draws tables"
DEMO = "the synthetic shop and the small world are two generators with the same nouns"
SAME_NAME = {
    "PreparedData": FRONT_DOOR,
    "Qrels": FRONT_DOOR,
    "Ranker": FRONT_DOOR,
    "Run": FRONT_DOOR,
    "PhotoError": "the reason, and the same reason as a user's error that names no path",
    "Pool": "a candidate pool of each importer, and a pool of processes",
    "Product": "a product of the synthetic shop, and a product that search returns",
    "Query": DEMO,
    "Regions": "regions as the raw file has them, and as models receive them",
    "Value": DEMO,
}


@pytest.fixture(scope="module")
def sources(repository: Path) -> dict[str, ast.Module]:
    """Every module of the package by its path inside it."""
    top = repository / "src" / "shopsight"
    paths = sorted(top.rglob("*.py"))
    return {p.relative_to(top).as_posix(): ast.parse(p.read_text(), str(p)) for p in paths}


def folder_of(module: str) -> str:
    return module.rpartition("/")[0] + "/"


def test_every_module_has_tests(repository: Path, sources: dict[str, ast.Module]) -> None:
    tests = repository / "tests"
    used, uncovered = set(), []
    for module in sources:
        folder, name = folder_of(module), module.rpartition("/")[2]
        if name.startswith("__") or (tests / folder.lstrip("/") / f"test_{name}").is_file():
            continue
        keys = [key for key in (module, folder) if key in COVERED_BY]
        used.update(keys[:1])
        if not keys:
            uncovered.append(module)
    assert uncovered == [], "add tests/<folder>/test_<module>.py, or an entry of COVERED_BY"
    assert sorted(set(COVERED_BY) - used) == [], "entries that no module needs"
    assert [path for path in COVERED_BY.values() if not (tests / path).is_file()] == []


def public_classes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def test_no_two_public_classes_have_the_same_name(sources: dict[str, ast.Module]) -> None:
    modules = defaultdict(list)
    for module, tree in sources.items():
        for name in public_classes(tree):
            modules[name].append(module)
    repeated = {name: places for name, places in modules.items() if len(places) > 1}
    assert {name: places for name, places in repeated.items() if name not in SAME_NAME} == {}
    assert sorted(set(SAME_NAME) - set(repeated)) == [], "reasons that are no longer needed"
    assert len(modules) >= 100


def test_no_function_has_more_than_seven_parameters(sources: dict[str, ast.Module]) -> None:
    long, checked = [], 0
    for module, tree in sources.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                checked += 1
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                names = {argument.arg for argument in every} - {"self", "cls"}
                if len(names) > 7:
                    long.append(f"{module}: {node.name}")
    assert long == []
    assert checked >= 1000
