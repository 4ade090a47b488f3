"""What other programs may rely on: names, signatures, and that they cost nothing until used."""

import inspect
import subprocess
import sys

import pytest

import colintern

SIGNATURES = {
    "load_config": "(path: str, overrides: Sequence[str] = ()) -> Config",
    "run": "(config: Config, workers: Workers | None = None) -> RunFolder",
    "ingest": "(sources: Sequence[str], out: str, settings: IngestSettings)",
}


def test_the_public_names_are_the_documented_ones():
    """A name that other people's programs import is gone, or has other arguments."""
    assert set(colintern.__all__) == {"__version__", *SIGNATURES}
    assert dir(colintern) == sorted(colintern.__all__)
    for name, wanted in SIGNATURES.items():
        assert name in (colintern.__doc__ or "")
        found = str(inspect.signature(getattr(colintern, name)))
        for module in ("collections.abc.", "colintern.config.schema.", "colintern.ingestion.run."):
            found = found.replace(module, "")
        assert found.replace("'", "").startswith(wanted)
    with pytest.raises(AttributeError, match="no attribute 'train_everything'"):
        _ = colintern.train_everything  # pyright: ignore[reportAttributeAccessIssue]


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
