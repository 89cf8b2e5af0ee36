"""What the commands that look at a whole cluster share: its members as values, as tables and as a picture."""
