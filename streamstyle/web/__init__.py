"""The one server for browsers: the control room, the preview, figures for Prometheus."""
