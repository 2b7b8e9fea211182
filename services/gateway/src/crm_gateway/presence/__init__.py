"""What people see of us beside messages."""
