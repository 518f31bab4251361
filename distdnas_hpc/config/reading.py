"""Read a config from YAML; every fault is a sentence that names file, line and key."""

import difflib
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from distdnas_hpc.config.cluster import Cluster
from distdnas_hpc.config.experiment import Config
from distdnas_hpc.config.section import Section
from distdnas_hpc.errors import UserError

Lines = dict[tuple[str, ...], int]
"""The line of each key, e.g. of ('search', 'days')."""


def load_config(path: Path, profile: str | None = None) -> Config:
    """Read and validate a config; every fault is one UserError that names file, line and key.

    Parameters
    ----------
    profile : name of a cluster, instead of the config's `cluster.profile`. What CONFIG leaves open of the section
        `cluster` is taken from clusters/NAME.yaml beside it; the config that is returned names no profile any more.
    """
    tree, lines = _read(path, "config")
    section = tree.get("cluster") or {}
    name = profile or (section.get("profile") if isinstance(section, dict) else None)
    if name is not None:
        tree["cluster"] = _merged(_load_profile(path.parent / "clusters", str(name)), {**section, "profile": None})
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(_sentences(error, path, lines, Config)) from None
    absolute = {
        "run": config.run.expanduser().absolute(),
        "prepared": config.prepared.expanduser().absolute() if config.prepared else None,
        "data": config.data.model_copy(update={"raw": str(Path(config.data.raw).expanduser().absolute())}),
    }
    return config.model_copy(update=absolute)


def _load_profile(folder: Path, name: str) -> dict[str, Any]:
    """Read what a cluster's profile says, checked on its own, so that a fault is told of its own file and line."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise UserError(f"There is no profile {path}; profiles there: {known}.")
    tree, lines = _read(path, "profile")
    try:
        Cluster.model_validate(tree)
    except ValidationError as error:
        raise UserError(_sentences(error, path, lines, Cluster)) from None
    return tree


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay a tree over another; lists are values."""
    both = {key: _merged(under[key], over[key]) for key in over if isinstance(over[key], dict) and under.get(key)}
    return {**under, **over, **both}


def _read(path: Path, what: str) -> tuple[dict[str, Any], Lines]:
    """Return a YAML file's mapping, and in which line each key stands."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"The {what} {path} does not exist; give the path of a YAML file such as configs/quickstart.yaml."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The {what} {path} can't be read: {error}.") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = _line_of_each_key(node, path)
        tree = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: not valid YAML: {error.problem}; mend the line.") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: the {what} must be a mapping of keys to values; see configs/quickstart.yaml.")
    return tree, lines


def _line_of_each_key(node: yaml.Node | None, path: Path, prefix: tuple[str, ...] = ()) -> Lines:
    lines: Lines = {}
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = (*prefix, str(key_node.value))
            line = key_node.start_mark.line + 1
            if key in lines:
                raise UserError(
                    f"{path}, line {line}: the key {'.'.join(key)} stands twice (see line {lines[key]}); remove one."
                )
            lines[key] = line
            lines.update(_line_of_each_key(value_node, path, key))
    return lines


def _sentences(error: ValidationError, path: Path, lines: Lines, root: type[Section]) -> str:
    """Put pydantic's findings into one sentence each: file, line, key, fault, remedy."""
    found = []
    for detail in error.errors():
        key = tuple(str(part) for part in detail["loc"])
        line = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
        where = f"{path}, line {line}" if line else f"{path}"
        name = ".".join(part for part in detail["loc"] if isinstance(part, str))  # which of a list, its value tells
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            known = _keys_beside(key, root)
            close = difflib.get_close_matches(key[-1], known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known keys here: {', '.join(known)}."
            found.append(f"{where}: unknown key '{name}'; {hint}")
        elif detail["type"] == "missing":
            found.append(f"{where}: the key '{name}' is missing; add it.")
        elif detail["type"] == "value_error":
            found.append(f"{where}: {name + ': ' if name else ''}{message}.")
        else:
            message = message[0].lower() + message[1:]
            found.append(f"{where}: '{name}' is {detail['input']!r} but {message.replace('input should', 'should')}.")
    return "\n".join(found)


def _keys_beside(key: tuple[str, ...], root: type[Section]) -> list[str]:
    """Names that are known in the section where `key` stands, counted from `root`."""
    section: Any = root
    for part in key[:-1]:
        fields = {field.alias or name: field.annotation for name, field in section.model_fields.items()}
        kinds = (fields.get(part), *get_args(fields.get(part)))  # `Section | None` where a section may be left out
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
        if section is None:
            return []
    return [field.alias or name for name, field in section.model_fields.items()]
