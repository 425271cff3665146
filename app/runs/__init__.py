"""Training runs: their configuration, scheduling, checkpoints, live frames and inspection."""
