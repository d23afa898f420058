"""The Workshop tab: scenarios, one step at a time, on a page or filling a stage."""
