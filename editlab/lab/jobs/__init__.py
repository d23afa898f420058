"""The worker that owns the model, the rows of its jobs, live questions and figures of the service."""
