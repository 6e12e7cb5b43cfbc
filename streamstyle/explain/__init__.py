"""Seeing what a style is, and why a picture came out so."""
