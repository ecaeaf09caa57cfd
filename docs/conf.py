"""How the documentation is built."""

from singerkit import __version__

project = "singerkit"
author = "The singerkit developers"
copyright = author
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "singerkit"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
exclude_patterns = ["_build"]
nitpicky = False
myst_heading_anchors = 3
autodoc_type_aliases = {name: name for name in ("Context", "Record", "Schema")}
maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

# `make linkcheck` is for links to other servers; each build checks those inside, as tests/docs/test_links.py does.
linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost|[^/]*\.?example\.(com|org))([:/].*)?$"]
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]
linkcheck_retries = 3
linkcheck_timeout = 30
