"""What all tabs share: handlers, wiring, components, inputs and HTML."""
