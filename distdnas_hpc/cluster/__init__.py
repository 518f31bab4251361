"""Run folder, stages and tasks, executors, status. Knows nothing of tensors."""
