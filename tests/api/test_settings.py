"""Keyword arguments as settings."""

from __future__ import annotations

import pytest

from shopsight.api.settings import build_settings
from shopsight.config import CompareConfig, EvaluateConfig, FusionConfig
from shopsight.errors import UsageError


def test_fields_go_to_their_class() -> None:
    evaluation, comparison = build_settings(
        {"metrics": ["map"], "alpha": 0.01}, EvaluateConfig, CompareConfig
    )
    assert evaluation == EvaluateConfig(("map",))
    assert comparison == CompareConfig(alpha=0.01)


def test_single_string_for_a_tuple() -> None:
    assert build_settings({"metrics": "map"}, EvaluateConfig) == [EvaluateConfig(("map",))]


def test_invalid_settings() -> None:
    with pytest.raises(UsageError, match="unknown setting 'alhpa'; did you mean 'alpha'"):
        build_settings({"alhpa": 1}, EvaluateConfig, CompareConfig)
    with pytest.raises(UsageError, match="folds must be at least 2"):
        build_settings({"folds": 1}, FusionConfig)
