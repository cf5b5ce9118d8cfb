"""From root operators to what must be registered and compiled."""
