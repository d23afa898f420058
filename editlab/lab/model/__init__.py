"""The model that is loaded, and the jobs that belong to it: key statistics, masks, benchmarks."""
