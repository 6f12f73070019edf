"""Drawing: the places and sizes of everything on paper, without colours."""
