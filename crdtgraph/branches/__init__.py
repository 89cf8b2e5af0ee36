"""Branches of many writers on one graph."""
