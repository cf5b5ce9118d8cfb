"""Who refers to what in ELF libraries, from their relocations and the linker's map."""
