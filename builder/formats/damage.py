"""What is wrong with a damaged binary file, in words for people."""

from __future__ import annotations


def describe_damage(error: Exception) -> str:
    """Returns what an exception of a reader says of the file.

    Readers raise `ValueError` with a reason of their own. What Python raises by itself, such as
    `struct.error` and `IndexError`, comes of numbers in the file.
    """
    if type(error) is ValueError or isinstance(error, OSError):
        return str(error)
    if isinstance(error, UnicodeError):
        return "a name in it is not UTF-8"
    return "a number in it is too large, or leads outside of the file"
