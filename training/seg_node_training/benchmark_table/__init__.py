"""The benchmark table: what is measured, how, and the page that it becomes."""
