.PHONY: demo test lint

demo:
	./demo

test:
	./test

lint:
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports
