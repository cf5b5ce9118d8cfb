.PHONY: demo test lint site

demo:
	./demo

test:
	./test

lint:
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

site:
	.venv/bin/python tools/make_site.py
