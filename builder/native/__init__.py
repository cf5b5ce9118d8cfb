"""Configure, generate, choose translation units, compile, link, strip."""
