"""Generic tasks: what is asked of a table, an array or a folder of recordings of one's own."""
