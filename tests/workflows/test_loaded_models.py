"""Models in memory: loaded once, as many and as large together as is allowed."""

from __future__ import annotations

from typing import Any

from isotherm.workflows.service.loaded import LoadedModels


def loading(models: LoadedModels, key: str, size: int) -> Any:
    model: Any = object()
    return models.get(key, lambda: (model, size))


def test_the_least_recently_used_models_go_where_there_are_too_many() -> None:
    models = LoadedModels(2)
    first = loading(models, "a", 1)
    loading(models, "b", 1)
    assert loading(models, "a", 1) is first
    loading(models, "c", 1)
    assert [key in models for key in "abc"] == [True, False, True]


def test_the_least_recently_used_models_go_where_their_files_are_too_long_together() -> None:
    models = LoadedModels(8, most_bytes=100)
    for key, size in (("a", 30), ("b", 40), ("c", 30)):
        loading(models, key, size)
    assert all(key in models for key in "abc")
    loading(models, "a", 30)
    loading(models, "d", 50)
    assert [key in models for key in "abcd"] == [True, False, False, True]


def test_a_single_model_that_is_too_long_is_kept_alone() -> None:
    models = LoadedModels(8, most_bytes=100)
    loading(models, "a", 10)
    large = loading(models, "large", 500)
    assert [key in models for key in ("a", "large")] == [False, True]
    assert loading(models, "large", 500) is large
