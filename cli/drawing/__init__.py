"""Histories drawn with lines, for a terminal."""

from cli.drawing.layout import Layout, Placed
from cli.drawing.style import ASCII, UNICODE, Style, coloured

__all__ = ["ASCII", "UNICODE", "Layout", "Placed", "Style", "coloured"]
