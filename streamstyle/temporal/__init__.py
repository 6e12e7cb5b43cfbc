"""What is wrong with a styled frame, and its repair: pure array functions and small state on NumPy and OpenCV."""
