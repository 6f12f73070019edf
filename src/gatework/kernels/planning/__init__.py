"""Planning: from a step to plans, before sizes and the machine are known."""
