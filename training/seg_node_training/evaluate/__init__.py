"""Networks and files scored on labelled sets, as the node decides."""
