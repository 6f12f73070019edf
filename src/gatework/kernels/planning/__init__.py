"""Planning: from a step to plans, before any size or machine is known."""
