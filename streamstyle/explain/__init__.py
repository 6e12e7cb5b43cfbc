"""Explanations of styles, and of painted pictures."""
