"""The scene that streamstyle renders itself: `test:`."""
