"""Between a worker's wish to call a tool and the tool's answer."""
