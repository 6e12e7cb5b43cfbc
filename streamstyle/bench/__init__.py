"""The anomaly benchmark: detection and repair on real clips, compared with baselines."""
