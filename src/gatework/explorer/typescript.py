"""Write the page's copy of what it shares with the server: the types of requests and answers, and shared words.

    python -m gatework.explorer.typescript web/src

The types come from the models in :mod:`gatework.explorer.messages`, the words from :mod:`gatework.translations`.
``make page`` runs this first, and a test requires that the committed files are what it writes.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gatework.explorer import messages
from gatework.translations import LANGUAGES, TERMS

_WRITTEN = "Written by `python -m gatework.explorer.typescript`. Do not edit."
# The answers to the page, and its requests. The models that they contain are written with them.
_ANSWERS: tuple[type[BaseModel], ...] = (
    messages.AboutAnswer,
    messages.TraceAnswer,
    messages.TopAnswer,
    messages.TermAnswer,
    messages.UnitsAnswer,
    messages.GradientsAnswer,
    messages.OpeningAnswer,
    messages.FindAnswer,
    messages.ElsewhereAnswer,
)
_REQUESTS: tuple[type[BaseModel], ...] = (messages.TraceRequest, messages.FindRequest, messages.ElsewhereRequest)
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_LONGEST_LINE = 120


def write_types() -> str:
    """Write the models of requests and answers as TypeScript.

    Returns:
        The text of ``lib/answers.ts``.
    """
    schemas = models_json_schema([(model, "serialization") for model in (*_ANSWERS, *_REQUESTS)])[1]["$defs"]
    order = {name: place for place, name in enumerate(vars(messages))}
    interfaces = [_interface(name, schemas[name]) for name in sorted(schemas, key=order.__getitem__)]
    head = f"// What the page asks the server, and what the server answers. T steps, H units, N names.\n// {_WRITTEN}\n"
    return "\n".join([head, *interfaces])


def write_terms() -> str:
    """Write the words that pictures and the page share as TypeScript.

    Returns:
        The text of ``strings/terms.ts``.
    """
    lines = [
        "// What the comments of equations call quantities, in the languages that pictures are drawn in.",
        f"// {_WRITTEN}",
        "",
        f"export const TERMS: Record<{' | '.join(map(_quoted, LANGUAGES))}, Record<string, string>> = {{",
        f"  {LANGUAGES[0]}: {{}},",
    ]
    for place, language in enumerate(LANGUAGES[1:]):
        lines.append(f"  {_quoted(language)}: {{")
        lines += [f"    {_quoted(term)}: {_quoted(words[place])}," for term, words in TERMS.items()]
        lines.append("  },")
    return "\n".join([*lines, "};", ""])


# The files below the page's sources, and the function that writes each.
FILES = {"lib/answers.ts": write_types, "strings/terms.ts": write_terms}


def _interface(name: str, schema: dict[str, Any]) -> str:
    """Write one model. A request states every field; an answer may leave out a field that has a default."""
    asked = name.endswith("Request") or schema.get("additionalProperties") is False
    required = set(schema["properties"]) if asked else set(schema.get("required", ()))
    lines = [*_comment(schema.get("description", "")), f"export interface {_short(name)} {{"]
    lines += [
        f"  {key}{'' if key in required else '?'}: {_type(value)};" for key, value in schema["properties"].items()
    ]
    return "\n".join([*lines, "}", ""])


def _comment(text: str) -> list[str]:
    """Write a model's docstring as a comment."""
    lines = re.sub(r"\bNone\b", "null", text.replace("``", "`")).splitlines()
    if len(lines) == 1 and len(lines[0]) + 7 <= _LONGEST_LINE:
        return [f"/** {lines[0]} */"]
    return ["/**", *(f" * {line}".rstrip() for line in lines), " */"] if lines else []


def _type(schema: dict[str, Any]) -> str:
    """Write the type of one value."""
    if "$ref" in schema:
        return _short(schema["$ref"].rpartition("/")[2])
    if "const" in schema or "enum" in schema:
        return " | ".join(map(_quoted, schema.get("enum", [schema.get("const")])))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if schema["type"] == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(_type(item) for item in schema['prefixItems'])}]"
        item = _type(schema["items"])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if schema["type"] == "object":
        return f"Record<string, {_type(schema['additionalProperties'])}>"
    return _PLAIN[schema["type"]]


def _short(name: str) -> str:
    """Return the name that the page uses for a model: without ``Answer`` at its end."""
    return name.removesuffix("Answer")


def _quoted(value: Any) -> str:
    """Write a constant as TypeScript."""
    return f"'{value}'" if isinstance(value, str) and "'" not in value else json.dumps(value, ensure_ascii=False)


def main(arguments: list[str]) -> int:
    """Write the files below a folder.

    Args:
        arguments: The folder of the page's sources.

    Returns:
        The exit status.
    """
    if len(arguments) != 1 or not Path(arguments[0], "lib").is_dir():
        print("usage: python -m gatework.explorer.typescript web/src", file=sys.stderr)
        return 2
    for name, write in FILES.items():
        Path(arguments[0], name).write_text(write(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
