"""Reads settings from YAML files, which can extend each other, and from `a.b=c` arguments."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from colintern import storage
from colintern.config.schema import Config
from colintern.errors import ConfigError, one_line

# What pydantic adds to the path of a key that may have values of several kinds.
_UNION_BRANCH = re.compile(r"int|str|constrained-\w+|(literal|tuple)\[.*\]")
_LIST_WANTED = ("tuple_type", "list_type")
_YAML_WORDS = {
    r"a valid tuple": "a list",
    r"a valid dictionary or instance of \w+": "a section with keys",
    r"input should be None$": "only null is supported yet",
    r"input should be False$": "only false is supported yet",
}


def load_config(path: str, overrides: Sequence[str] = ()) -> Config:
    """Read the settings of a run.

    Args:
        path: a YAML file; it may extend another one.
        overrides: `a.b=c` arguments, which replace what the files say.

    Raises:
        ConfigError: one line that names the file, the key and the remedy.
    """
    return with_overrides(_read_document(path, ()), overrides, source=path)


def with_overrides(document: dict[str, Any], overrides: Sequence[str], source: str) -> Config:
    """Check a document in which `a.b=c` arguments replace what it says.

    Args:
        document: sections with keys; changed.
        overrides: the arguments.
        source: where the document is from, for error messages.

    Raises:
        ConfigError: one line that names the source, the key and the remedy.
    """
    for override in overrides:
        _apply_override(document, override)
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(_explain(error, source, overrides)) from None


def parse_config(document: dict[str, Any], source: str) -> Config:
    """Check a document against the schema.

    Args:
        document: sections with keys.
        source: the file it was read from, for error messages.

    Raises:
        ConfigError: one line that names the file, the key and the remedy.
    """
    return with_overrides(document, (), source)


class _Loader(yaml.SafeLoader):
    """YAML with two changes.

    `1e-3` is a number; for PyYAML, which follows YAML 1.1, it is a string. And a key that is given
    twice is refused; PyYAML would silently use the last.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a dictionary; called by PyYAML."""
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else key
            if name in seen:
                problem = f"the key '{name}' is given twice"
                raise yaml.constructor.ConstructorError(
                    problem=problem, problem_mark=key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)$"),
    list("-+0123456789."),
)


def _read_document(path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """The mapping in `path`, merged over the file that it `extends`, if any."""
    if path in seen:
        raise ConfigError(f"{path}: 'extends' leads back to the same file: {' -> '.join(seen)}")
    if not storage.exists(path):
        raise ConfigError(f"{path}: no such configuration file; see configs/ for examples")
    document = _parse_yaml(storage.read_bytes(path).decode("utf-8", "replace"), path) or {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must have sections with keys, found {type(document).__name__}")
    base = document.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str):
        raise ConfigError(f"{path}: 'extends' must be one file name, found {base!r}")
    beside = storage.join(path.rsplit("/", 1)[0], base) if "/" in path else base
    return _merged(_read_document(beside, (*seen, path)), document)


def _parse_yaml(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: is not valid YAML: {one_line(error)}") from None


def as_written(text: str) -> Any:
    """What a value is that stands as `text` in a file.

    Raises:
        ConfigError: it is not valid YAML.
    """
    return _parse_yaml(text, f"'{text}'")


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `over`, section by section; a dataset is replaced as a whole."""
    result = dict(base)
    for key, value in over.items():
        both_sections = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = _merged(base[key], value) if both_sections and "path" not in value else value
    return result


def _apply_override(document: dict[str, Any], override: str) -> None:
    """Set one `a.b=c` in `document`; c is read as YAML."""
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"'{override}': expected section.key=value, for example run.name=first")
    node = document
    for part in parts[:-1]:
        child = node.get(part)
        if isinstance(child, str) and part in ("train", "dev"):
            child = {"path": child}
        node[part] = child if isinstance(child, dict) else {}
        node = node[part]
    node[parts[-1]] = _parse_yaml(text, f"'{override}'")


def _explain(error: ValidationError, source: str, overrides: Sequence[str]) -> str:
    """The first fault in a validation error, on one line: where it is from, and its remedy."""
    problem = error.errors(include_url=False)[0]
    path = [part for part in map(str, problem["loc"]) if not _UNION_BRANCH.fullmatch(part)]
    near = [one for one in overrides if _agree(_key_of(one), path)]
    is_unknown = problem["type"] == "extra_forbidden"
    blamed = [one for one in near if is_unknown or len(_key_of(one)) <= len(path)]
    if blamed:  # the last one counts
        return f"{blamed[-1]} (command line): {_told(problem, path)}"
    changed = f" with {' '.join(near)}" if near else ""  # the fault is in several keys together
    return f"{source}{changed}: {_told(problem, path)}"


def _key_of(override: str) -> list[str]:
    return override.partition("=")[0].strip().split(".")


def _agree(key: Sequence[str], path: Sequence[str]) -> bool:
    """Whether one of two paths is inside the other, or they are the same."""
    return all(mine == other for mine, other in zip(key, path, strict=False))


def _told(problem: Mapping[str, Any], path: Sequence[str]) -> str:
    """What is wrong at a path, and the remedy."""
    key, found = ".".join(path), problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'{_suggestion(path)}"
    if problem["type"] == "missing":
        return f"'{key}' is missing; set it, for example to demo, the built-in dataset"
    if problem["type"] in _LIST_WANTED and isinstance(found, int | float):
        return f"'{key}' is {found!r}, but takes a list: {key}=[{found}]"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "value_error":
        return f"{key}: {message}" if key else message
    for pydantic_word, yaml_word in _YAML_WORDS.items():
        message = re.sub(pydantic_word, yaml_word, message)
    return f"'{key}' is {found!r}: {message}; see configs/reference.yaml"


def _suggestion(path: Sequence[str]) -> str:
    section: Any = Config
    for part in path[:-1]:
        field = section.model_fields.get(part) if isinstance(section, type) else None
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return "; see configs/reference.yaml for every key"
        section = annotation
    near = difflib.get_close_matches(path[-1], section.model_fields, n=1)
    if near:
        return f"; did you mean '{'.'.join([*path[:-1], near[0]])}'?"
    return f"; known keys here: {', '.join(sorted(section.model_fields))}"
