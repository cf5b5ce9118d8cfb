"""Where the bytes of a built library go."""
