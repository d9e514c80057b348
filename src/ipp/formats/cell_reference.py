"""Columns of a sheet by their letters."""

from __future__ import annotations


def column_number(letters: str) -> int:
    """Return the number of a column, from 0: A is 0, AB is 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def column_letters(number: int) -> str:
    """Return the letters of a column from its number, counted from 0: 27 is AB."""
    letters = ""
    while number >= 0:
        number, place = divmod(number, 26)
        letters, number = chr(ord("A") + place) + letters, number - 1
    return letters
