"""What `tools/make_site.py` makes the site of: staged pages, Sphinx's configuration, pictures."""
