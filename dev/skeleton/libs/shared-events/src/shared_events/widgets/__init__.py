"""What the widgets service is asked and tells."""
