"""The running service: stages on their schedules, how they are doing, and the processes around them."""
