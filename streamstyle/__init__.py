"""streamstyle: real-time video stylization without flicker."""

__version__ = "0.1.0"
