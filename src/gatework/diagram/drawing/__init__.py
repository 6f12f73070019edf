"""Drawing: where everything lies on paper, and how large it is, before any colour."""
