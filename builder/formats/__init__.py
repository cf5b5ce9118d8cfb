"""File formats: ELF, Mach-O, stubs of libraries, unwind tables, plain YAML; nothing of a policy."""
