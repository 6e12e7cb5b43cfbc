"""Detection and repair of anomalies in styled frames: array functions and small state."""
