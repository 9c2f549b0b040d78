"""What people run by hand: demo, check."""
