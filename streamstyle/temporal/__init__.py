"""What is wrong with a styled frame, and its repair: array functions and small state."""
