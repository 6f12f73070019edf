"""How sphinx builds the documentation."""

import sys
from pathlib import Path

from gatework import __version__

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "gatework"
author = "the gatework authors"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",
    "sphinx.ext.viewcode",
    "cell_pages",
    "task_pages",
]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "**/_*.md"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Source", "notes_style")]

html_theme = "furo"
html_title = f"gatework {__version__}"
html_theme_options = {"sidebar_hide_name": False}
