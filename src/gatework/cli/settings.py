"""The flags of ``gatework train`` and ``compare``: one for each field of a configuration, made from the fields."""

import json
from collections.abc import Mapping
from dataclasses import field as dataclass_field
from dataclasses import make_dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gatework.cli.output import whole_number
from gatework.training.config import TrainConfig
from gatework.training.jobs.settings import listed

# `torchrun -m gatework train --run DIR` reads --run as an abbreviation of its own --run-path.
ALSO_CALLED = {"run": ("--run", "--run-dir"), "start_from": ("--from", "--start-from")}


def make_flags(
    model: type[BaseModel],
    headings: Mapping[str, str],
    *,
    also_called: Mapping[str, tuple[str, ...]] | None = None,
    instead: Mapping[str, Mapping[str, Any]] | None = None,
) -> type:
    """Make a dataclass of flags from a configuration's fields; those that have a default are optional.

    Args:
        model: The configuration.
        headings: The fields in the order they are shown, each with the heading that it is shown under; empty for that
            of all other flags.
        also_called: Fields whose flags have several names, with all of these.
        instead: Fields for which other flags stand, with the names and the types of these.

    Returns:
        A dataclass for cyclopts; an optional flag that was not given is None.
    """
    fields: list[tuple[str, Any, Any]] = []
    order = list(dict.fromkeys(headings.values()))
    groups = {heading: Group(heading, sort_key=place) for place, heading in enumerate(order)}
    for name, heading in headings.items():
        if others := (instead or {}).get(name):
            fields += [(flag, kind, None) for flag, kind in others.items()]
            continue
        field = model.model_fields[name]
        required, kind = field.is_required(), _type_of(field)
        shown = "" if required or field.default in (None, "", {}, ()) else f" [default: {_shown(field.default)}]"
        grouped: dict[str, Any] = {"group": groups[heading]} if heading else {}
        parameter = Parameter(
            name=(also_called or {}).get(name),
            help=f"{field.description}{shown}",
            show_default=False,
            converter=whole_number if kind is int else None,
            **grouped,
        )
        if required:
            fields.append((name, Annotated[kind, parameter], dataclass_field()))
        else:
            fields.append((name, Annotated[kind | None, parameter], None))
    # Without __module__ the class would look like a built-in one, whose fields cyclopts does not read.
    return make_dataclass("Flags", fields, frozen=True, kw_only=True, namespace={"__module__": __name__})


def given(flags: Any) -> dict[str, Any]:
    """List the flags that were given.

    Args:
        flags: The dataclass that cyclopts filled.

    Returns:
        Name -> value.
    """
    return {name: value for name, value in vars(flags).items() if value is not None}


def as_toml(config: TrainConfig) -> str:
    """Write a configuration as TOML, with the meaning of each key; ``--config`` reads it back.

    Args:
        config: The configuration.

    Returns:
        One ``key = value`` per line; keys without a value are comments.

    Example:
        >>> print(next(line for line in as_toml(TrainConfig(level="word")).splitlines() if line.startswith("level")))
        level = "word"  # What the model reads and writes one at a time; bpe: pieces of words.
    """
    values = config.model_dump(mode="json")
    lines = []
    for name in listed(TrainConfig):
        line = f"# {name} =" if values[name] is None else f"{name} = {_toml_value(values[name])}"
        lines.append(f"{line}  # {TrainConfig.model_fields[name].description}")
    return "\n".join(lines) + "\n"


def _type_of(field: FieldInfo) -> Any:
    """Return the type of a flag. A flag that is not a plain value is read as text, which the configuration parses."""
    kind = field.annotation
    plain = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) in (Union, UnionType) and len(plain) == 1:
        kind = plain[0]
    if get_origin(kind) is Annotated:  # the configuration checks the range
        kind = get_args(kind)[0]
    return str if get_origin(kind) in (dict, tuple) else kind


def _shown(value: Any) -> Any:
    """Show a default as it would be given: several numbers with commas between."""
    return ",".join(f"{number:g}" for number in value) if isinstance(value, tuple) else value


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml_value(inner)}" for name, inner in value.items()) + "}"
    # Apart from mappings, JSON's way to write a text, a number or a truth value is also TOML's.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
