"""What an operator types: the commands that every service's program has beside `run`."""
