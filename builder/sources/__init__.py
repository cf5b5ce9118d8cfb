"""From pins to a verified, patched source tree."""
