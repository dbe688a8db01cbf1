"""Training: tasks, the loop, checkpoints, run folders, several processes."""
