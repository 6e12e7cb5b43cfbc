"""Training: data, losses, one step, the loop, checkpoints and contact sheets."""
