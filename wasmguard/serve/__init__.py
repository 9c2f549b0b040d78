"""What runs beside an agent: the hook, its thin clients, and the daemon that answers them."""
