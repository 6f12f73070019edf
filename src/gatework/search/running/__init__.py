"""Running: trials in processes of their own."""
