"""What pyproject.toml cannot say: the README as a package index shows it. Everything else stands there.

A package index knows no files of the repository. Relative links become addresses below the ``Source`` of
``[project.urls]``. As long as the project names no such address, the text of a link stays without the link, and its
pictures are left out.
"""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#|mailto:)([^)\s]+)\)")
_CODE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def for_an_index(text: str, source: str) -> str:
    """Rewrite the relative links of a text in Markdown.

    Args:
        text: The text.
        source: The address of the repository, where files stand below ``blob/main`` and pictures below ``raw/main``;
            empty if there is none.

    Returns:
        The text, without a relative link outside of its blocks of code.
    """

    def address(match: re.Match[str]) -> str:
        picture, name, path = match.groups()
        if source:
            return f"{picture}[{name}]({source.rstrip('/')}/{'raw' if picture else 'blob'}/main/{path})"
        return "" if picture else name

    parts = _CODE.split(text)
    parts[::2] = [re.sub(r"\n{3,}", "\n\n", _LINK.sub(address, part)) for part in parts[::2]]
    return "".join(parts)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    setup(
        long_description=for_an_index(readme, project.get("urls", {}).get("Source", "")),
        long_description_content_type="text/markdown",
    )
