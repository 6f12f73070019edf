"""Generic tasks: for the user's own tables, arrays and folders of recordings."""
