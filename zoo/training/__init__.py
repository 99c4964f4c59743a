"""Training: the loop, optimizer and schedules, callbacks, checkpoints, strategies."""
