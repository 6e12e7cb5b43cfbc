"""Long films and many films: split, painted by several workers, resumed, joined. See docs/scale.md."""
