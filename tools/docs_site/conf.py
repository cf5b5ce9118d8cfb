"""Sphinx's configuration of the site; `tools/make_site.py` copies it beside the staged pages."""

project = "builder"
author = "the builder authors"
copyright = "the builder authors, BSD-3-Clause"  # noqa: A001 # the name is Sphinx's
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4  # links to headings, as GitHub names them
myst_linkify_fuzzy_links = False
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # blocks are compiled and parsed in tests
smartquotes = False  # options begin with two hyphens
highlight_language = "text"
html_theme = "furo"
html_title = "builder"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
