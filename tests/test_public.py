"""What other programs may rely on: names, signatures, and that they cost nothing until used."""

import dataclasses
import inspect
import subprocess
import sys
import typing

import pytest

import colintern
from colintern.retrieval import answers
from tests.helpers import png

SIGNATURES = {
    "load_config": "(path: str, overrides: Sequence[str] = ()) -> Config",
    "run": "(config: Config, workers: Workers | None = None) -> RunFolder",
    "ingest": "(sources: Sequence[str], out: str, settings: IngestSettings | None = None)",
}
CLASSES = {"ColInternError", "IngestSettings", "Retriever"}
METHODS = {
    "open": "(run: str, round: int | None = None, dataset: str | None = None, "
    "device: str | None = None, memory: int | None = None, *, "
    "workers: Workers | None = None) -> Retriever",
    "search": "(self, queries: Sequence[str], k: int = 10) -> list[list[Hit]]",
    "embed_queries": "(self, texts: Sequence[str]) -> list[NDArray[np.float32]]",
    "embed_pages": "(self, images: Sequence[bytes | Image.Image]) -> list[NDArray[np.float32]]",
    "similarities": "(self, query: str, page_id: str) -> Similarities",
    "page_images": "(self, page_ids: Collection[str]) -> dict[str, bytes]",
}
ANSWERS = {
    "Hit": ["rank", "score", "page_id", "doc_id"],
    "Similarities": ["scores", "tokens", "boxes", "is_thumbnail", "parts", "words"],
}


def test_the_public_names_are_the_documented_ones():
    """A name that other people's programs import is gone, or has other arguments."""
    assert set(colintern.__all__) == {"__version__", *SIGNATURES, *CLASSES}
    assert dir(colintern) == sorted(colintern.__all__)
    assert all(name in (colintern.__doc__ or "") for name in colintern.__all__)
    for name, wanted in SIGNATURES.items():
        found = str(inspect.signature(getattr(colintern, name)))
        for module in ("collections.abc.", "colintern.config.schema.", "colintern.ingestion.work."):
            found = found.replace(module, "")
        assert found.replace("'", "").startswith(wanted)
    with pytest.raises(AttributeError, match="no attribute 'train_everything'"):
        _ = colintern.train_everything  # pyright: ignore[reportAttributeAccessIssue]


def test_a_retriever_has_the_documented_methods_and_answers():
    """An argument or a field that other people's programs use, renamed."""
    methods = {
        name: str(inspect.signature(getattr(colintern.Retriever, name))).replace("'", "")
        for name in METHODS
    }
    assert methods == METHODS
    for name, fields in ANSWERS.items():
        assert [field.name for field in dataclasses.fields(getattr(answers, name))] == fields


def test_type_hints_of_the_public_functions_can_be_read():
    """A NameError in tools that look at them: documentation, or a program that fills arguments."""
    assert typing.get_type_hints(colintern.run)["config"].__name__ == "Config"
    assert typing.get_type_hints(colintern.load_config)["return"].__name__ == "Config"
    for name in METHODS:
        assert "return" in typing.get_type_hints(getattr(colintern.Retriever, name))
    settings = typing.get_type_hints(colintern.ingest)["settings"]
    assert settings == colintern.IngestSettings | None


def test_an_ingest_needs_no_settings_and_its_errors_have_a_public_name(tmp_path):
    """A TypeError for somebody who takes the defaults; errors that only `Exception` catches."""
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "page.png").write_bytes(png(1))
    report = colintern.ingest([str(tmp_path / "scans")], str(tmp_path / "mine"))
    assert report.document()["pages"] == 1
    with pytest.raises(colintern.ColInternError, match="nowhere"):
        colintern.ingest([str(tmp_path / "nowhere")], str(tmp_path / "other"))


def test_importing_the_package_imports_nothing_else():
    """`import colintern` that takes the seconds of torch and Ray."""
    program = (
        "import sys, colintern\n"
        "print(sorted(name for name in sys.modules if name.startswith('colintern')))\n"
        "from colintern import load_config\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["['colintern']", "False"], done.stderr
