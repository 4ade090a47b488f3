"""The settings that go with a backbone are the same wherever they stand."""

import re
from pathlib import Path

import pytest

from colintern.config.files import load_config
from colintern.config.own import own_settings
from colintern.config.pinned import ADVISED
from colintern.config.schema import READER, READER_PRINT, Config
from colintern.config.suited import overrides, remedy, suited

CONFIGS = Path(__file__).parents[2] / "configs"
OWN = str(CONFIGS / "own.yaml")


def _settings(config: Config, backbone: str) -> dict:
    """Those of a configuration that `suited` has."""
    document = config.model_dump()
    sections = (key.split(".") for key in suited(backbone))
    return {f"{section}.{name}": document[section][name] for section, name in sections}


@pytest.mark.parametrize("file", ["own.yaml", "real.yaml"])
def test_the_configurations_for_real_pages_have_them(file):
    """A better setting that is not in the file which people copy."""
    found = load_config(str(CONFIGS / file))
    assert _settings(found, READER_PRINT) == suited(READER_PRINT)


@pytest.mark.parametrize("use_gpu", [False, True])
def test_what_init_writes_has_those_of_one_and_names_those_of_the_other(tmp_path, use_gpu):
    """One backbone with the tiles of the other."""
    path = tmp_path / "own.yaml"
    path.write_text(own_settings(str(path), "mine", {"path": "data"}, [], use_gpu=use_gpu))
    taken, other = (ADVISED, READER_PRINT) if use_gpu else (READER_PRINT, ADVISED)
    assert _settings(load_config(str(path)), taken) == suited(taken)

    # The other's as a person puts them in: lines are replaced by those of the comment.
    (comment,) = path.read_text().split("in place of those below:\n")[1:]
    said, settings = comment.split("backbone:\n", 1)
    said = said.replace("further below:", "").replace("with a GPU:", "")
    for line in re.findall(r"\w+: [^\s,]+", said):
        key = line.split(":")[0]
        (old,) = (old for old in settings.splitlines() if old.strip().startswith(f"{key}:"))
        settings = settings.replace(old, f"  {line}")
    path.write_text("backbone:\n" + settings)
    assert _settings(load_config(str(path)), other) == suited(other)


def test_the_lines_to_paste_are_taken_by_the_configuration_of_own_pages():
    """A remedy that is refused when it is pasted; one backbone with the tiles of another."""
    advised = remedy(READER_PRINT).split(", then ")[1]
    assert _settings(load_config(OWN, advised.split()), ADVISED) == suited(ADVISED)
    built_in, advised = remedy(READER).split(" for printed English, or ")
    assert built_in == overrides(suited(READER_PRINT))
    found = load_config(OWN, ["backbone.path=reader", "backbone.max_tiles=12", *built_in.split()])
    assert _settings(found, READER_PRINT) == suited(READER_PRINT)
    assert advised.startswith(f"`colintern download {ADVISED}`, then backbone.path={ADVISED} ")
