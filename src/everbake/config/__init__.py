"""What people write in files: parsed once, checked, turned into core values."""
