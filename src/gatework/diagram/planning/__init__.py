"""Planning: choose what is drawn, and in which column and row, before anything is measured."""
