"""Several live sources at once: a process each, started again when it dies. See docs/control-room.md."""
