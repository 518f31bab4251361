"""Tables and figures from what runs wrote. Imports no torch."""
