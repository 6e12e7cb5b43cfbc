"""The anomaly benchmark: what is found and repaired on real clips, against baselines."""
