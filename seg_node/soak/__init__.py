"""The whole system for minutes or hours while its parts are killed: what it does and holds."""
