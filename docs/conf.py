"""How the documentation is built."""

from singerkit import __version__

project = "singerkit"
author = "The singerkit developers"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "singerkit"
html_static_path = ["_static"]
exclude_patterns = ["_build"]
nitpicky = False
myst_heading_anchors = 3
autodoc_typehints = "description"
