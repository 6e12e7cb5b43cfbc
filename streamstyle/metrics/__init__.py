"""Figures of quality."""
