"""The flags of ``gatework train``: one for each field of its configuration, made from the fields themselves."""

import json
from collections.abc import Mapping
from dataclasses import make_dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gatework.cli.output import whole_number
from gatework.training.config import TrainConfig
from gatework.training.settings import listed

# `torchrun -m gatework train --run DIR` takes --run for a short form of its own --run-path.
ALSO_CALLED = {"run": ("--run", "--run-dir")}


def make_flags(model: type[BaseModel], headings: Mapping[str, str]) -> type:
    """Make a dataclass of flags, all of them optional, from a configuration's fields.

    Args:
        model: The configuration.
        headings: The fields in the order they are shown, each with the heading that it is shown under.

    Returns:
        A dataclass for cyclopts; a flag that was not given is None.
    """
    fields: list[tuple[str, Any, Any]] = []
    order = list(dict.fromkeys(headings.values()))
    groups = {heading: Group(heading, sort_key=place) for place, heading in enumerate(order)}
    for name, heading in headings.items():
        field = model.model_fields[name]
        shown = "" if field.default in (None, "", {}) else f" [default: {field.default}]"
        kind = _type_of(field)
        parameter = Parameter(
            name=ALSO_CALLED.get(name),
            help=f"{field.description}{shown}",
            group=groups[heading],
            show_default=False,
            converter=whole_number if kind is int else None,
        )
        fields.append((name, Annotated[kind | None, parameter], None))
    # Without a module of its own the class would look like one of Python's, whose fields cyclopts does not open.
    return make_dataclass("Flags", fields, frozen=True, kw_only=True, namespace={"__module__": __name__})


def given(flags: Any) -> dict[str, Any]:
    """List the flags that were given.

    Args:
        flags: What cyclopts made.

    Returns:
        Name -> value.
    """
    return {name: value for name, value in vars(flags).items() if value is not None}


def as_toml(config: TrainConfig) -> str:
    """Write a configuration as TOML, with what each key means; ``--config`` reads it back.

    Args:
        config: The configuration.

    Returns:
        One ``key = value`` a line; keys without a value are comments.

    Example:
        >>> print(next(line for line in as_toml(TrainConfig(level="word")).splitlines() if line.startswith("level")))
        level = "word"  # What the model reads and writes one by one.
    """
    values = config.model_dump(mode="json")
    lines = []
    for name in listed(TrainConfig):
        line = f"# {name} =" if values[name] is None else f"{name} = {_toml_value(values[name])}"
        lines.append(f"{line}  # {TrainConfig.model_fields[name].description}")
    return "\n".join(lines) + "\n"


def _type_of(field: FieldInfo) -> Any:
    """Give the type a flag is read as; what is no plain value is read as text and taken apart by the configuration."""
    kind = field.annotation
    plain = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) in (Union, UnionType) and len(plain) == 1:
        kind = plain[0]
    if get_origin(kind) is Annotated:  # its range is the configuration's to check
        kind = get_args(kind)[0]
    return str if get_origin(kind) is dict else kind


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml_value(inner)}" for name, inner in value.items()) + "}"
    # Apart from mappings, JSON's way to write a text, a number or a truth value is also TOML's.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
