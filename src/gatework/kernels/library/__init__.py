"""The backend that runs torch's own fused operators, for the steps that they compute."""
