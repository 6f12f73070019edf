"""Print the lowest versions that pyproject.toml allows, as pip takes them: ``torch>=2.13`` gives ``torch==2.13``."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lowest(requirement: str) -> str:
    """Give the lowest version of one requirement."""
    bounded = re.fullmatch(r"([\w-]+)[>~]=([\d.]+)", requirement)
    if bounded is None:
        raise SystemExit(f"pyproject.toml: '{requirement}' is given, expected a name and its lowest version: name>=1.2")
    return f"{bounded[1]}=={bounded[2]}"


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    print("\n".join(sorted({lowest(requirement) for group in groups for requirement in group})))
