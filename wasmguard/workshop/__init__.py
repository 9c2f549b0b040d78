"""What people run by hand: everything that the command line does but answering events."""
