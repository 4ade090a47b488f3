"""Twins of published checkpoints, each written once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import InternVLForConditionalGeneration

from tests.model.twins import TWINS, write_twin


@pytest.fixture(scope="package")
def twin(tmp_path_factory) -> Callable[[str], tuple[Path, InternVLForConditionalGeneration]]:
    """A twin's folder, which must stay as it is, and the model that was saved in it."""
    written: dict[str, tuple[Path, InternVLForConditionalGeneration]] = {}

    def of(name: str) -> tuple[Path, InternVLForConditionalGeneration]:
        if name not in written:
            folder = tmp_path_factory.mktemp(name)
            written[name] = folder, write_twin(folder, TWINS[name])
        return written[name]

    return of


@pytest.fixture
def twin_copy(twin, tmp_path) -> Callable[[str], Path]:
    """A copy of a twin's folder, to be changed."""

    def of(name: str) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(twin(name)[0], folder)
        return folder

    return of
